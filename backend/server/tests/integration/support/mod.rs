//! What the tests stand on: servers, clients, engines, and the check that nothing is left.

pub mod agent;
pub mod api;
pub mod backend;
pub mod child;
pub mod engine;
pub mod http;
pub mod leftovers;
pub mod plain;
pub mod server;
pub mod viewer;
pub mod wait;
pub mod websocket;
