//! What the tests stand on: servers, clients, engines, and the check that nothing is left.

pub mod agent;
pub mod api;
pub mod archive;
pub mod backend;
pub mod child;
pub mod dockerd;
pub mod engine;
pub mod flood;
pub mod heard;
pub mod http;
pub mod images;
pub mod leftovers;
pub mod memory;
pub mod numbers;
pub mod oci;
pub mod plain;
pub mod proxy;
pub mod rootless;
pub mod rough;
pub mod run;
pub mod server;
pub mod stream;
pub mod tree;
pub mod viewer;
pub mod wait;
pub mod websocket;
