//! The HTTP surface: one file per group of routes, the bodies under [`dto`].
//!
//! Handlers parse into types, ask [`crate::auth`], [`crate::storage`] and the group's object, and
//! answer. They decide nothing about what may be signed.

pub mod accounts;
pub mod body;
pub mod bunker_id;
pub mod ceremonies;
pub mod chronicle;
pub mod connections;
pub mod dto;
pub mod events;
pub mod export;
pub mod gate;
pub mod headers;
pub mod keys;
pub mod metrics;
pub mod operators;
pub mod pages;
pub mod passkeys;
pub mod path;
pub mod public;
pub mod relay;
pub mod requests;
pub mod reshare;
pub mod sessions;
pub mod statement;
