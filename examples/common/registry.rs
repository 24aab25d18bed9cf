//! How registries are asked.

use std::path::{Path, PathBuf};

use clap::Args;
use lazyoci::blob_io::registry::{Client, ClientOptions, DockerConfig, Mirror, Reference};

use super::Failure;

/// How to connect to registries.
#[derive(Debug, Clone, Args)]
pub struct RegistryArgs {
    /// Use HTTP instead of HTTPS; needed even for a registry on this machine
    #[arg(long)]
    plain_http: bool,
    /// Read from this mirror first, `http[s]://HOST[:PORT][/PATH]`; may be repeated, tried in order
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Connect through this proxy, `http://[USER:PASSWORD@]HOST:PORT`
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Send this header to the registry and its mirrors; may be repeated
    #[arg(long, value_name = "NAME:VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Trust the certificate authorities in this file (PEM) instead of those that browsers trust
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME:VALUE")?;
    Ok((name.trim().into(), value.trim().into()))
}

impl RegistryArgs {
    /// A client for the registry of `reference`, with the credentials of Docker or podman.
    pub fn client(&self, reference: &Reference) -> Result<Client, Failure> {
        let config = DockerConfig::find().map_err(Failure::usage)?;
        let mut options = ClientOptions::default().credentials(config);
        if self.plain_http {
            options = options.plain_http(reference.host());
        }
        for mirror in &self.mirror {
            options = options.mirror(Mirror::new(mirror));
        }
        if let Some(proxy) = &self.proxy {
            options = options.proxy(proxy);
        }
        for (name, value) in &self.header {
            options = options.header(name, value);
        }
        if let Some(path) = &self.ca {
            let pem = std::fs::read(path);
            options = options
                .root_certificates(pem.map_err(|error| Failure::usage(error).of(path.display()))?);
        }
        Ok(Client::new(options)?)
    }

    /// Refuses options that mean nothing for what is at `path`, which is in no registry.
    pub fn refuse(&self, path: &Path) -> Result<(), Failure> {
        for (option, given) in [
            ("--plain-http", self.plain_http),
            ("--mirror", !self.mirror.is_empty()),
            ("--proxy", self.proxy.is_some()),
            ("--header", !self.header.is_empty()),
            ("--ca", self.ca.is_some()),
        ] {
            if given {
                return Err(Failure::usage(format!(
                    "{option} needs an image in a registry, such as `docker://HOST/REPOSITORY:TAG`, which {} is not",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}
