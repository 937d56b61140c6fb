//! The promises of the deployment's machine, through its own doors. Each test is named by what is kept or by what must
//! not happen.

mod canaries;
mod limits;
mod model;
mod moves;
mod operators;
mod random;
mod record;
mod rotation;
mod secrecy;
mod world;
