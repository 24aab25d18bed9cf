//! A client of OCI registries: blobs by range, manifests, and putting both there.
//!
//! | module part | holds |
//! |---|---|
//! | [`Client`], [`ClientOptions`], [`Mirror`] | how registries are asked |
//! | [`Reference`], [`Repository`], [`PulledManifest`], [`Found`] | what is where |
//! | [`RemoteBlob`], [`BlobStream`] | the bytes of a blob, by range or from front to end |
//! | [`Pushed`] | what became of a blob that was to be put there |
//! | [`Credentials`], [`DockerConfig`], [`StaticCredentials`], [`Anonymous`] | who to be |
//! | [`RegistryError`] | what, which bytes, which attempt, which server, and what helps |
//!
//! Requests wait for their answers; several threads may share a client. What breaks is tried again where that
//! may help, and taken up where it was. Redirects are followed without credentials, and never from HTTPS to
//! HTTP. All that a server says is bounded before it is kept, and what has a digest is compared with it as
//! far as it is whole.
//!
//! Source: OCI distribution-spec v1.1; distribution's token authentication.

mod blob;
mod challenge;
mod client;
mod content_range;
mod credentials;
mod docker_config;
mod error;
mod exchange;
mod options;
mod pace;
mod pieces;
mod push;
mod reference;
mod repository;
mod retry;
mod stream;
mod token;
mod turns;
mod url;

pub use blob::RemoteBlob;
pub use client::{Client, ClientStats};
pub use credentials::{Anonymous, Credential, CredentialError, Credentials, StaticCredentials};
pub use docker_config::DockerConfig;
pub use error::{ErrorClass, RegistryError, RegistryErrorKind};
pub use options::{ClientOptions, Mirror};
pub use push::Pushed;
pub use reference::{ParseReferenceError, Reference};
pub use repository::{Found, PulledManifest, Repository};
pub use stream::BlobStream;
