//! What is refused.

use super::*;

fn refused(tar: &[u8], options: &ZstdChunkedOptions) -> (String, KeptTarFault) {
    match convert(Streaming::new(tar), options).unwrap_err() {
        ConvertError::KeptTar(error) => {
            assert_eq!(error.fault(), Fault::Unsupported, "{error:?}");
            (
                String::from_utf8_lossy(&error.name).into_owned(),
                error.reason,
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_partial_pull_cannot_put_together_is_refused() {
    let global = after_pax(b'g', &record("comment", "hi"));
    let (name, reason) = refused(&global, &options());
    assert!(matches!(
        (&*name, reason),
        ("f", KeptTarFault::GlobalHeader)
    ));
    // After the last member.
    let last = [
        &Tar::new().file("f", b"x").finish()[..1024],
        &global[..1024],
        &[0; 1024],
    ]
    .concat();
    let (name, reason) = refused(&last, &options());
    assert!(matches!((&*name, reason), ("", KeptTarFault::GlobalHeader)));

    let sparse = [
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "f"),
        record("GNU.sparse.realsize", "5"),
    ];
    let sparse = sparse.concat();
    let mut tar = after_pax(b'x', &sparse);
    let map = b"1\n0\n1\n".to_vec();
    let mut content = map;
    content.resize(512, 0);
    content.push(b'x');
    content.resize(1024, 0);
    let header = with_header("f", |header| {
        header[124..136].copy_from_slice(b"00000001001\0");
    });
    tar.truncate(1024);
    tar.extend(&header[..512]);
    tar.extend(content);
    tar.extend([0; 1024]);
    let lenient = |tar: &[u8]| convert(Streaming::new(tar).lenient(true), &options()).unwrap_err();
    match lenient(&tar) {
        ConvertError::KeptTar(error) => {
            assert!(matches!(error.reason, KeptTarFault::Sparse), "{error:?}");
        }
        other => panic!("{other:?}"),
    }

    for tar in [
        Tar::new().directory("a").directory("a"),
        Tar::new().file("a", b"").file("b", b"").file("./a", b""),
    ] {
        let (name, reason) = refused(&tar.finish(), &options());
        assert!(
            matches!(reason, KeptTarFault::Duplicate),
            "{name}: {reason:?}"
        );
    }

    let mut group = Tar::new().file("f", b"x").link("h", "f").finish();
    group[1024 + 116..1024 + 124].fill(0xff);
    let _ = with_header_sum(&mut group[1024..]);
    let (name, reason) = refused(&group, &options());
    assert_eq!(
        (&*name, &*reason.to_string()),
        ("h", "its gid -1 does not fit 32 bits")
    );

    let root = Tar::new().symlink(".", "t").finish();
    let (name, reason) = refused(&root, &options());
    assert!(
        name == "." && matches!(reason, KeptTarFault::Root),
        "{name}: {reason:?}"
    );

    let mut bytes = Tar::new().symlink("l", "t").finish();
    bytes[157] = 0xff;
    let sum = with_header_sum(&mut bytes);
    let (name, reason) = refused(sum, &options());
    assert!(matches!(
        (&*name, reason),
        (
            "l",
            KeptTarFault::NotUtf8 {
                what: "link target"
            }
        )
    ));
    let tar = with_header("f", |header| header[0] = 0xff);
    let (_, reason) = refused(&tar, &options());
    assert!(matches!(reason, KeptTarFault::NotUtf8 { what: "name" }));
    let tar = Tar::new()
        .file_with("f", &with_xattr(b"user.\xff", b"v"), b"")
        .finish();
    let (_, reason) = refused(&tar, &options());
    assert!(matches!(
        reason,
        KeptTarFault::NotUtf8 {
            what: "extended attribute's name"
        }
    ));

    let mut link = Tar::new().file("f", b"").link("l", "f").finish();
    link[512 + 124..512 + 136].copy_from_slice(b"00000000005\0");
    with_header_sum(&mut link[512..]);
    let (name, reason) = refused(&link, &options());
    assert!(matches!(
        (&*name, reason),
        ("l", KeptTarFault::Size { size: 5 })
    ));

    let below = Tar::new().link("l", "below").finish();
    let (name, reason) = refused(&below, &options());
    assert!(matches!((&*name, reason), ("l", KeptTarFault::Target)));
    // Before its target it is all right.
    checked(
        &Tar::new().link("l", "f").file("f", b"x").finish(),
        &options(),
    );

    let tar = with_header("f", |header| header[156] = b'7');
    let (_, reason) = refused(&tar, &options());
    assert!(matches!(reason, KeptTarFault::Kind { typeflag: b'7' }));
    let tar = with_header("f", |header| header[156] = b'V');
    let (_, reason) = refused(&tar, &options());
    assert!(matches!(reason, KeptTarFault::Kind { typeflag: b'V' }));

    let mut late = metadata(0o644);
    late.mtime.seconds = 253_402_300_800;
    let tar = Tar::new().file_with("f", &late, b"").finish();
    let (_, reason) = refused(&tar, &options());
    assert!(matches!(
        reason,
        KeptTarFault::Time {
            seconds: 253_402_300_800
        }
    ));
}

#[test]
fn only_zstd() {
    for compression in [Compression::Gzip { level: 6 }, Compression::None] {
        let error = convert(Streaming::new(&[][..]), &options().compression(compression));
        assert!(matches!(
            error.unwrap_err(),
            ConvertError::NoLayerCodec { codec } if codec == compression.codec()
        ));
    }
}

#[test]
fn no_more_chunks_than_allowed() {
    let tar = Tar::new()
        .file("mixed", &[&[1; 5][..], &[0; 2000], &[1; 5]].concat())
        .finish();
    let limits = |max_chunks| {
        let mut limits = Limits::default();
        limits.max_chunks = max_chunks;
        limits
    };
    convert(Streaming::new(&tar[..]).limits(limits(3)), &options()).unwrap();
    let error = convert(Streaming::new(&tar[..]).limits(limits(2)), &options()).unwrap_err();
    assert!(
        matches!(error, ConvertError::TooManyChunks { limit: 2, .. }),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
}
