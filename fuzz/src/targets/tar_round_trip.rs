//! Tars to entries and back.

use std::io::Write as _;

use lazyoci::model::layer::Whiteout;
use lazyoci::model::{ImagePath, Limits, Metadata, Node};
use lazyoci::tar_stream::{Member, TarReader, TarWriter, WriteError};

use super::input::Input;
use super::tar::{cut, options, repair_checksums};
use super::tree::{Pattern, take_metadata, take_node};

/// Cuts the bytes, a tar, into its pieces and puts these together again; then takes the bytes as
/// choices, writes the members that they mean, and reads them.
pub fn tar_round_trip(data: &[u8]) {
    raw(data);
    let mut repaired = data.to_vec();
    repair_checksums(&mut repaired);
    if repaired != data {
        raw(&repaired);
    }
    canonical(&mut Input::new(data));
}

fn raw(tar: &[u8]) {
    for lenient in [false, true] {
        let (pieces, error) = cut(TarReader::new(tar, options(lenient)), || 4096);
        let mut writer = TarWriter::new(Vec::new());
        for (entry, payload) in &pieces.entries {
            writer
                .append_raw(entry.raw(), entry.payload_len)
                .expect("all of the member before was written");
            writer.write_all(payload).expect("it was announced");
        }
        let mut trailer = &pieces.trailer[..];
        let rebuilt = writer.finish_raw(&mut trailer).expect("all was written");
        match error {
            None => assert!(rebuilt == tar, "the tar comes back as it was"),
            Some(_) => assert!(tar.starts_with(&rebuilt), "it comes back up to the error"),
        }
    }
}

/// What was written, or is to be read.
#[derive(Debug, PartialEq)]
struct Written {
    path: ImagePath,
    metadata: Metadata,
    node: Option<Node<()>>,
    target: Option<ImagePath>,
    content: Vec<u8>,
}

fn canonical(input: &mut Input<'_>) {
    let mut writer = TarWriter::new(Vec::new());
    let mut expected = Vec::new();
    while !input.is_empty() && expected.len() < 24 {
        let path = take_path(input);
        let metadata = take_metadata(input);
        let choice = input.below(16);
        if choice < 2 {
            let target = take_path(input);
            let written = writer.append_link(&path, &metadata, &target);
            written.expect("paths are not too long for a record");
            // A whiteout goes by its name, whatever it is.
            let name = path.last().map(|name| Whiteout::of(name.as_bytes()));
            let is_whiteout = name.flatten().is_some();
            let (size, content) = (0, ());
            expected.push(Written {
                path,
                metadata: Metadata::default(),
                node: is_whiteout.then_some(Node::File { size, content }),
                target: (!is_whiteout).then_some(target),
                content: Vec::new(),
            });
        } else {
            expected.extend(append(
                &mut writer,
                path,
                metadata,
                take_any_node(input, choice),
            ));
        }
    }
    let tar = writer.finish().expect("all payloads are complete");
    assert!(tar.len().is_multiple_of(512));
    read(&tar, &expected);
}

fn take_any_node(input: &mut Input<'_>, choice: usize) -> Node<Pattern> {
    let node = match choice {
        2..=4 => Node::empty_directory(),
        choice => take_node(input, choice),
    };
    match node {
        // No file system has such a link, and no reader gives it back.
        Node::Symlink(target) if target.is_empty() || target.contains(&0) => Node::Fifo,
        node => node,
    }
}

fn take_path(input: &mut Input<'_>) -> ImagePath {
    let mut path = ImagePath::root();
    for _ in 0..input.below(4) {
        let more = ImagePath::clean(input.bytes()).unwrap_or_default();
        for name in more.components() {
            path.push(name);
        }
    }
    path
}

fn append(
    writer: &mut TarWriter<Vec<u8>>,
    path: ImagePath,
    metadata: Metadata,
    node: Node<Pattern>,
) -> Option<Written> {
    match writer.append(&path, &metadata, &node) {
        Ok(()) => {}
        Err(WriteError::Socket { .. }) => {
            assert!(matches!(node, Node::Socket));
            return None;
        }
        Err(WriteError::XattrName { .. } | WriteError::ExtensionTooLong { .. }) => return None,
        Err(error) => panic!("{error}"),
    }
    let content = match &node {
        Node::File { content, .. } => content.bytes(),
        _ => Vec::new(),
    };
    writer.write_all(&content).expect("it was announced");
    Some(Written {
        path,
        metadata,
        node: Some(without_content(node)),
        target: None,
        content,
    })
}

fn without_content<C>(node: Node<C>) -> Node<()> {
    match node {
        Node::File { size, .. } => Node::File { size, content: () },
        Node::Directory(entries) => Node::Directory(entries),
        Node::Symlink(target) => Node::Symlink(target),
        Node::CharDevice(device) => Node::CharDevice(device),
        Node::BlockDevice(device) => Node::BlockDevice(device),
        Node::Fifo => Node::Fifo,
        Node::Socket => Node::Socket,
    }
}

fn read(tar: &[u8], expected: &[Written]) {
    let limits = Limits::default();
    let (pieces, error) = cut(TarReader::new(tar, Default::default()), || 4096);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(pieces.entries.len(), expected.len());
    for ((entry, content), expected) in pieces.entries.into_iter().zip(expected) {
        let member = entry.into_member(&limits).expect("a file tree holds it");
        let found = match member {
            Member::Node {
                path,
                metadata,
                node,
            } => Written {
                path,
                metadata,
                node: Some(without_content(node)),
                target: None,
                content,
            },
            Member::HardLink { path, target } => Written {
                path,
                metadata: Metadata::default(),
                node: None,
                target: Some(target),
                content,
            },
        };
        assert_eq!(&found, expected);
    }
}
