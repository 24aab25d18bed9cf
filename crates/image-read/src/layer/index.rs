//! The index of a plain tar: its tree, and where its files lie.

use std::io::{Read, Seek};

use image_model::Node;
use image_model::advisory::Advisories;
use image_model::layer::{ContentCost, Layer, LayerBuilder, LayerOptions};
use image_model::tree::Spans;
use tar_stream::{Member, TarReader};

use super::{LayerImageError, LayerImageOptions};

/// Builds the layer of a plain tar out of its headers.
pub(super) fn index(
    source: impl Read + Seek,
    options: &LayerImageOptions,
) -> Result<(Layer<Spans>, Advisories), LayerImageError> {
    let LayerImageOptions {
        lenient, limits, ..
    } = options;
    let tar_options = tar_stream::TarReadOptions::default()
        .lenient(*lenient)
        .limits(limits.clone());
    let mut builder = LayerBuilder::new(
        LayerOptions::default()
            .lenient(*lenient)
            .limits(limits.clone()),
    );
    let mut reader = TarReader::seekable(source, tar_options)
        .expect("a source whose length is known can be sought in");
    let mut advisories = Advisories::default();
    while let Some(mut entry) = reader.next_entry()? {
        let offset = entry.offset;
        let oddities = std::mem::take(&mut entry.oddities);
        let member = entry.into_member(limits)?;
        advisories.add_all(Some(member.path()), oddities);
        add(&mut builder, member, offset)?;
    }
    advisories.add_all(None, reader.oddities().iter().cloned());
    let layer = builder.finish().map_err(LayerImageError::Layer)?;
    advisories.append(layer.advisories().clone());
    Ok((layer, advisories))
}

/// Adds a member that begins at `offset` of the tar.
pub(super) fn add(
    builder: &mut LayerBuilder<Spans>,
    member: Member,
    offset: u64,
) -> Result<(), LayerImageError> {
    let path = member.path().clone();
    let added = match member {
        Member::Node {
            path,
            metadata,
            node,
        } => {
            // The length of the content matters only to callers that read all of it, which this does not.
            let memory = match &node {
                Node::File { content, .. } => size_of_val(content.as_slice()) as u64,
                _ => 0,
            };
            let cost = ContentCost {
                memory,
                ..ContentCost::default()
            };
            builder
                .charge_content(&path, cost)
                .and_then(|()| builder.add(&path, metadata, node))
        }
        Member::HardLink { path, target } => builder.link(&path, &target),
    };
    added.map_err(|source| LayerImageError::Entry {
        offset,
        path,
        source,
    })
}
