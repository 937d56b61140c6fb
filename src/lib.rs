//! Passport's Worker: the shell around the two cores.
//!
//! It routes, authenticates, stores and forwards. What may be signed is decided by `bunker-core`
//! inside the Durable Objects, over keys that only `frost-wasm-core` touches.

pub mod auth;
pub mod config;
pub mod durable;
pub mod hsm;
pub mod http;
pub mod metrics;
pub mod openapi;
pub mod platform;
pub mod problem;
pub mod router;
pub mod storage;
pub mod telemetry;

#[cfg(target_arch = "wasm32")]
mod entry;
