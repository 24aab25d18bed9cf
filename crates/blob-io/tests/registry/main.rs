//! The registry client against scripted servers.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod auth;
mod docker_config;
mod manifests;
mod mirrors;
mod pieces;
mod pushing;
mod reading;
mod redirects;
mod reference;
mod support;
