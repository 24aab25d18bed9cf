//! What soci 0.4.1 has made: see tests/goldens/README.md.

use image_model::{Limits, Timestamp};
use lazyoci_soci_ztoc::bytes::Bytes;
use lazyoci_soci_ztoc::{FileType, TarZinfo, Zinfo, Ztoc};

pub(crate) const PLAIN: &[u8] = include_bytes!("../goldens/odd-plain.ztoc");

/// The dump beside it is made by this test if `UPDATE_GOLDENS` is set.
#[test]
fn a_golden_is_dumped() {
    let mut dump = String::new();
    let bytes = Bytes::from_static(PLAIN);
    Ztoc::dump(&bytes, &Limits::default(), &mut dump).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/odd-plain.dump");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, &dump).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert!(dump == expected, "another dump than {path}");
}

#[test]
fn a_golden_is_read_and_written_as_it_was() {
    let bytes = Bytes::from_static(PLAIN);
    assert!(Ztoc::detect(&bytes));
    let ztoc = Ztoc::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(&ztoc.build_tool[..], Ztoc::BUILD_TOOL.as_bytes());
    assert_eq!(ztoc.compressed_len, 71_680);
    assert_eq!(
        ztoc.zinfo,
        Zinfo::Tar(TarZinfo::new(30_000, 71_680).unwrap())
    );
    let span = ztoc.span(2).unwrap();
    assert_eq!(span.stored, 60_000..71_680);
    assert_eq!(
        span.digest.to_string(),
        "sha256:f975e97c3bb0aca8ec4a7e212c3fa571000c5287fafd5697949c5db632cc8149"
    );
    assert_eq!(ztoc.span(3), None);
    let find = |name: &[u8]| ztoc.files.iter().find(|file| file.name == name).unwrap();
    let file = find(b"./etc/passwd");
    assert_eq!(
        (file.kind, &file.uname[..]),
        (FileType::Regular, &b"root"[..])
    );
    let time = Timestamp {
        seconds: 1_600_000_000,
        nanoseconds: 750_000_000,
    };
    assert_eq!(file.time(), Some(time));
    let link = find(b"bin/tool-link");
    assert_eq!(link.kind, FileType::HardLink);
    assert_eq!(&link.link_target[..], b"bin/tool");
    assert_eq!(ztoc.encode().unwrap(), PLAIN);
}
