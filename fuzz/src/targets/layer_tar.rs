//! Layers: decompression, tar members, and the tree that they make.

use lazyoci::model::advisory::Advisories;
use lazyoci::model::layer::{ContentCost, Layer, LayerBuilder, LayerOptions};
use lazyoci::model::tree::Spans;
use lazyoci::model::{Blame as _, ImagePath, InodeId, Limits, Metadata, Node, Tree};
use lazyoci::tar_stream::{Entry, Member, TarReader};

use super::tar::{Pieces, cut, options, repair_checksums};

/// Reads the bytes as a layer, strictly and leniently: the stream, the members, and the tree; as they
/// are, and with the checksums of tar headers made right.
pub fn layer_tar(data: &[u8]) {
    read_both_ways(data);
    let mut repaired = data.to_vec();
    repair_checksums(&mut repaired);
    if repaired != data {
        read_both_ways(&repaired);
    }
}

fn read_both_ways(layer: &[u8]) {
    let strict = read(layer, false);
    let lenient = read(layer, true);
    if let Some(strict) = strict {
        let lenient = lenient.expect("what is read strictly can be read leniently");
        assert!(strict == lenient, "strict and lenient reading differ");
    }
}

/// The pieces of the tar if all of it could be read.
fn read(layer: &[u8], lenient: bool) -> Option<Pieces> {
    let reader = TarReader::open_layer(layer, options(lenient)).ok()?;
    let (pieces, error) = cut(reader, || 4096);
    let mut position = 0;
    for (entry, payload) in &pieces.entries {
        check_entry(entry, payload, position);
        position = entry.payload_offset + entry.payload_len;
    }
    build(&pieces, lenient);
    match error {
        Some(error) => {
            let _ = (error.fault(), error.to_string());
            None
        }
        None => Some(pieces),
    }
}

fn check_entry(entry: &Entry, payload: &[u8], position: u64) {
    assert_eq!(payload.len() as u64, entry.payload_len);
    assert_eq!(position + entry.raw().len() as u64, entry.payload_offset);
    assert!(entry.raw().ends_with(entry.header()));
    assert!(entry.offset <= entry.header_offset && entry.header_offset < entry.payload_offset);
    let end = entry.payload_offset + entry.payload_len;
    for span in entry.spans.as_slice() {
        assert!(span.source_offset >= entry.payload_offset);
        assert!(span.source_offset + span.len <= end);
        assert!(span.file_offset + span.len <= entry.size);
    }
    let _ = entry.whiteout();
}

fn build(pieces: &Pieces, lenient: bool) {
    let limits = Limits::small();
    let mut builder = LayerBuilder::new(
        LayerOptions::default()
            .lenient(lenient)
            .limits(limits.clone()),
    );
    let mut held = (0, 0);
    for (entry, _) in &pieces.entries {
        let member = match entry.clone().into_member(&limits) {
            Ok(member) => member,
            Err(error) => {
                let _ = (error.fault(), error.to_string());
                return;
            }
        };
        let path = member.path().clone();
        let added = match member {
            Member::Node {
                path,
                metadata,
                node,
            } => {
                if let Node::File { size, content } = &node {
                    let cost = ContentCost::of_spans(*size, content.as_slice());
                    if let Err(error) = builder.charge_content(&path, cost) {
                        let _ = (error.fault(), error.to_string());
                        return;
                    }
                    (held.0, held.1) = (held.0 + cost.len, held.1 + cost.memory);
                }
                builder.add(&path, metadata, node)
            }
            Member::HardLink { path, target } => builder.link(&path, &target),
        };
        let there = builder.kind_at(&path).is_some();
        assert!(added.is_err() || there || lenient, "{path} was added");
    }
    let (len, memory) = held;
    assert!(len <= limits.max_content_len && memory <= limits.max_metadata_len);
    let Ok(layer) = builder.finish() else { return };
    if let Ok(tree) = layer.clone().into_tree() {
        let ids = (0..tree.len() as u32).map(InodeId::new);
        let implied = ids.filter(|&id| tree.inode(id).is_implied()).count();
        let most = 1 + limits.max_depth as usize + 16 * pieces.entries.len();
        assert!(implied <= most, "{implied} implied directories");
    }
    lay(&layer);
}

/// Lays the layer over nothing and over itself.
fn lay(layer: &Layer<Spans>) {
    if let Ok(tree) = layer.clone().into_tree() {
        check_tree(&tree);
    }
    let empty = Tree::new(Metadata::implied_directory());
    let Ok(once) = layer.clone().apply_to(empty, &mut Advisories::default()) else {
        return;
    };
    check_tree(&once);
    if let Ok(twice) = layer.clone().apply_to(once, &mut Advisories::default()) {
        check_tree(&twice);
    }
}

/// Every inode has a name, and paths lead to inodes.
fn check_tree(tree: &Tree<Spans>) {
    let links = tree.link_counts();
    assert!(links.iter().all(|&names| names > 0));
    let mut pending = vec![(ImagePath::root(), Tree::<Spans>::ROOT)];
    while let Some((path, id)) = pending.pop() {
        assert_eq!(tree.resolve(path.as_bytes()), Some(id));
        for (name, &child) in tree.directory(id).into_iter().flatten() {
            pending.push((path.join(name.as_ref()), child));
        }
    }
}
