//! Paths that are added, removed, changed.

use super::*;

#[test]
fn added_and_removed_paths_in_walk_order() {
    let left = Builder::new()
        .directory("a")
        .file("a/x", &[])
        .file("a-b", &[])
        .directory("d")
        .file("d/y", &[]);
    let right = Builder::new()
        .directory("a")
        .directory("a/w")
        .file("a/w/z", &[])
        .file("d", &[]);
    let (left, right) = (left.image(), right.image());
    let mut notes = Notes::default();
    let summary = diff(&left, &right, &Limits::default(), &mut notes).unwrap();
    assert_eq!(
        notes.lines,
        [
            "/a/w +", "/a/w/z +", "/a/x -", "/a-b -", "/d kind", "/d/y -"
        ]
    );
    let mut expected = DiffSummary::default();
    expected.added = 2;
    expected.removed = 3;
    expected.changed = 1;
    expected.same = 2;
    assert_eq!(summary, expected);
}

#[test]
fn every_path_is_through_once() {
    let left = Builder::new().file("a", &[Piece::Zeros(5)]).file("b", &[]);
    let right = Builder::new()
        .file("a", &[Piece::Zeros(7)])
        .file("c", &[Piece::Zeros(9)]);
    let mut notes = Notes::default();
    diff(
        &left.image(),
        &right.image(),
        &Limits::default(),
        &mut notes,
    )
    .unwrap();
    let (root, a) = ((Some(0), Some(0)), (Some(5), Some(7)));
    let (b, c) = ((Some(0), None), (None, Some(9)));
    assert_eq!(notes.through, [root, a, b, c]);
}

#[test]
fn every_reason_is_told() {
    let xattrs = |value: &[u8]| {
        Xattrs::new([Xattr {
            name: (*b"user.a").into(),
            value: value.into(),
        }])
        .unwrap()
    };
    let with = |metadata| Builder::new().node("p", metadata, Node::Fifo);
    let plain = Metadata::default;
    let device = |minor| {
        let node = Node::BlockDevice(Device { major: 8, minor });
        Builder::new().node("p", plain(), node)
    };
    let link = |target: &[u8], mode| {
        let metadata = Metadata { mode, ..plain() };
        Builder::new().node("p", metadata, Node::Symlink(target.into()))
    };
    let file = |pieces: &[Piece]| Builder::new().file("p", pieces);
    let cases = [
        (with(Metadata { mode: 1, ..plain() }), with(plain()), "mode"),
        (with(Metadata { uid: 1, ..plain() }), with(plain()), "uid"),
        (with(Metadata { gid: 1, ..plain() }), with(plain()), "gid"),
        (
            with(Metadata {
                mtime: Timestamp::from_seconds(1),
                ..plain()
            }),
            with(plain()),
            "mtime",
        ),
        (
            with(Metadata {
                xattrs: xattrs(b"1"),
                uid: 4,
                ..plain()
            }),
            with(Metadata {
                xattrs: xattrs(b"2"),
                ..plain()
            }),
            "uid,xattrs",
        ),
        (device(1), device(2), "device"),
        (link(b"a", 0o777), link(b"b", 0o700), "target"),
        (file(&[Piece::Zeros(1)]), file(&[Piece::Zeros(2)]), "size"),
        (
            file(&[Piece::Sha256(1, 4)]),
            file(&[Piece::Sha256(2, 4)]),
            "content",
        ),
        (
            file(&[]),
            with(Metadata { mode: 1, ..plain() }),
            "kind,mode",
        ),
    ];
    for (left, right, expected) in cases {
        assert_eq!(lines(left, right), [format!("/p {expected}")]);
    }
}

#[test]
fn what_the_tree_digest_leaves_out_is_no_difference() {
    let link = |mode| {
        let metadata = Metadata {
            mode,
            mtime: Timestamp {
                seconds: 1,
                nanoseconds: mode.into(),
            },
            ..Metadata::default()
        };
        let mut builder = Builder::new().node("l", metadata, Node::Symlink((*b"t").into()));
        let root = builder.tree.inode_mut(InodeId::ROOT);
        root.metadata.mtime = Timestamp::from_seconds(mode.into());
        builder
    };
    assert!(lines(link(1), link(2)).is_empty());
}

#[test]
fn hard_links_are_compared_by_their_groups() {
    let files = || Builder::new().file("a", &[]).file("b", &[]).file("c", &[]);
    let left = Builder::new().file("a", &[]).link("b", "a").file("c", &[]);
    assert_eq!(lines(files(), left), ["/a links", "/b links"]);
    let left = Builder::new().file("a", &[]).link("b", "a").file("c", &[]);
    let right = Builder::new().file("a", &[]).file("b", &[]).link("c", "a");
    assert_eq!(lines(left, right), ["/b links", "/c links"]);
}

#[test]
fn damaged_images_are_named() {
    let sound = Builder::new().image();
    let twice = Liar::new(&[(0, &[("a", 1), ("b", 1)]), (1, &[])]);
    let limits = Limits::default();
    let error = diff(&sound, &twice, &limits, &mut Notes::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let DiffError::Walk {
        side: Side::Right,
        source,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(source.path(), &path("b"));
    assert_eq!(
        transfer(&twice, &sound, &limits).unwrap_err().to_string(),
        { "cannot walk the first image" }
    );
}

#[test]
fn extents_are_bounded() {
    let image = Builder::new()
        .file("a", &[Piece::Zeros(1), Piece::Zeros(1)])
        .file("b", &[Piece::Zeros(1)])
        .image();
    let limits = Limits::default().max_chunks(2);
    let error = diff(&image, &image, &limits, &mut Notes::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    let text = "/b: more than 2 extents in the first image";
    assert_eq!(error.to_string(), text);
    let error = transfer(&image, &image, &limits).unwrap_err();
    assert_eq!(error.to_string(), text);
}

/// Files and directories by path, with a number that stands for all attributes.
fn trees() -> impl Strategy<Value = std::collections::BTreeMap<String, u32>> {
    let name = prop::sample::select(vec!["a", "a-", "b"]);
    let paths = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(paths, 0u32..3, 0..8)
}

/// Directories where something lies below, FIFOs elsewhere.
fn build(
    tree: &std::collections::BTreeMap<String, u32>,
) -> (ChunkedImage, Vec<(String, bool, u32)>) {
    let mut all = std::collections::BTreeMap::new();
    for (path, &number) in tree {
        for (at, _) in path.match_indices('/') {
            all.entry(path[..at].to_string()).or_insert((true, 0)).0 = true;
        }
        all.entry(path.clone()).or_insert((false, 0)).1 = number;
    }
    let mut builder = Builder::new();
    let mut sorted: Vec<_> = all.into_iter().collect();
    sorted.sort_by_key(|(path, _)| path.split('/').map(String::from).collect::<Vec<_>>());
    for (path, (is_directory, uid)) in &sorted {
        let metadata = Metadata {
            uid: *uid,
            ..Metadata::default()
        };
        let node = if *is_directory {
            Node::empty_directory()
        } else {
            Node::Fifo
        };
        builder = builder.node(path, metadata, node);
    }
    let listing = sorted.into_iter().map(|(p, (d, n))| (p, d, n)).collect();
    (builder.image(), listing)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_naive_comparison_agrees(left in trees(), right in trees()) {
        let ((left, left_list), (right, right_list)) = (build(&left), build(&right));
        let mut expected = Vec::new();
        for (path, is_directory, uid) in &left_list {
            match right_list.iter().find(|(p, ..)| p == path) {
                None => expected.push((path, "-".to_string())),
                Some((_, right_directory, right_uid)) => {
                    let mut reasons = vec![];
                    if is_directory != right_directory {
                        reasons.push("kind");
                    }
                    if uid != right_uid {
                        reasons.push("uid");
                    }
                    if !reasons.is_empty() {
                        expected.push((path, reasons.join(",")));
                    }
                }
            }
        }
        for (path, ..) in &right_list {
            if !left_list.iter().any(|(p, ..)| p == path) {
                expected.push((path, "+".to_string()));
            }
        }
        expected.sort_by_key(|(path, _)| path.split('/').collect::<Vec<_>>());
        let expected: Vec<_> = expected.iter().map(|(p, sign)| format!("/{p} {sign}")).collect();
        let mut notes = Notes::default();
        diff(&left, &right, &Limits::default(), &mut notes).unwrap();
        prop_assert_eq!(notes.lines, expected);
        let mut notes = Notes::default();
        diff(&left, &left, &Limits::default(), &mut notes).unwrap();
        prop_assert!(notes.lines.is_empty());
    }
}
