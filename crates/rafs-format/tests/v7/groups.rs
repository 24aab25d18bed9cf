//! The blob metadata: sound, and hostile.

use image_model::{Blame as _, Codec, Fault, Limits};
use lazyoci_rafs_format::v7::{GroupFault, Groups, TableKind, V7Error};

use super::support::{decode, footer_of, golden, metadata, open};

fn sound() -> Groups {
    open(golden()).unwrap().groups.unwrap()
}

/// First byte of the entries of the table `kind`.
fn entries(kind: TableKind) -> usize {
    let groups = sound();
    let mut tables = groups.tables().iter();
    let table = tables.find(|table| table.known() == Some(kind)).unwrap();
    table.offset as usize + usize::from(table.header_size)
}

/// First byte of the header of the table `kind`.
fn header(kind: TableKind) -> usize {
    let groups = sound();
    let mut tables = groups.tables().iter();
    tables
        .find(|table| table.known() == Some(kind))
        .unwrap()
        .offset as usize
}

/// Why the golden is refused with `value` at `offset` of its metadata.
fn refused(offset: usize, value: &[u8]) -> V7Error {
    let edited = metadata(|bytes| bytes[offset..offset + value.len()].copy_from_slice(value));
    decode(edited, &Limits::default()).unwrap_err()
}

#[test]
fn groups_follow_one_another() {
    let groups = sound();
    assert_eq!((groups.codec(), groups.stride()), (Codec::Zstd, 2));
    assert!(!groups.is_redirect() && !groups.header().is_incremental());
    let (mut stored, mut block, mut chunk) = (0, 0, 0);
    for index in 0..groups.group_count() {
        let group = groups.group(index).unwrap();
        assert_eq!(group.stored.start, stored);
        assert_eq!((group.blocks.start, group.chunks.start), (block, chunk));
        assert!(group.digest.is_some() && group.redirect.is_none());
        assert_eq!(group.is_one_chunk(), group.chunks.len() == 1);
        (stored, block, chunk) = (group.stored.end, group.blocks.end, group.chunks.end);
    }
    assert_eq!(stored, footer_of(&golden()).unwrap().data.end);
    assert_eq!((block, chunk), (groups.block_count(), groups.chunk_count()));
    assert_eq!(groups.group(groups.group_count()), None);
    assert_eq!(groups.gaps().count(), 0);
}

#[test]
fn chunks_begin_at_blocks() {
    let groups = sound();
    let found: Vec<_> = (0..groups.block_count())
        .filter_map(|block| groups.chunk_at(block))
        .collect();
    assert_eq!(found.len() as u32, groups.chunk_count());
    for (index, chunk) in found.iter().enumerate() {
        assert_eq!(chunk.index as usize, index);
        let group = groups.group(chunk.group).unwrap();
        assert!(group.chunks.contains(&chunk.index));
        assert!(chunk.offset + chunk.len <= group.len);
    }
    assert_eq!(groups.chunk_at(groups.block_count()), None);
}

#[test]
fn headers_that_break_rules() {
    let field = |error| match error {
        V7Error::Field { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(refused(0, b"NDBLMETX")), "magic");
    let groups = header(TableKind::Groups);
    assert_eq!(field(refused(groups + 2, &[23, 0])), "header_size");
    assert_eq!(field(refused(groups + 2, &[16, 0])), "header_size");
    assert_eq!(field(refused(groups + 8, &[23, 0, 0, 0])), "entry_size");
    assert_eq!(field(refused(groups + 16, &[20])), "max_blocks_bits");
    let index = header(TableKind::Index);
    assert_eq!(field(refused(index + 16, &[200])), "stride_bits");
    for (offset, value) in [(12, 2), (groups + 6, 1), (groups + 17, 3)] {
        assert_eq!(
            refused(offset, &[value]).fault(),
            Fault::Unsupported,
            "{offset}"
        );
    }
    let cut = metadata(|bytes| bytes.truncate(bytes.len() - 1));
    let error = decode(cut, &Limits::default()).unwrap_err();
    assert_eq!(field(error), "length");
    let error = decode(Vec::new(), &Limits::default()).unwrap_err();
    assert!(
        matches!(error, V7Error::Truncated { available: 0, .. }),
        "{error:?}"
    );
}

#[test]
fn tables_that_leave_the_metadata() {
    let groups = header(TableKind::Groups);
    // So many entries; entries so long; a table more.
    for (offset, value) in [(groups + 12, [255; 4]), (groups + 8, [255; 4])] {
        let error = refused(offset, &value);
        assert!(
            matches!(
                error,
                V7Error::Truncated {
                    structure: "table",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let error = refused(20, &[255, 255]);
    assert!(
        matches!(
            error,
            V7Error::Field {
                field: "header_size",
                found: 0,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn tables_that_are_missing() {
    for table in [TableKind::Groups, TableKind::Lengths, TableKind::Index] {
        // It is of a type that nobody knows.
        let error = refused(header(table), &[99]);
        assert_eq!(error, V7Error::NoTable { table });
    }
    // Digests may be.
    let kinds = [
        (header(TableKind::Digests), 99),
        (header(TableKind::Digests) + 16, 2),
    ];
    for (offset, value) in kinds {
        let edited = metadata(|bytes| bytes[offset] = value);
        let groups = decode(edited, &Limits::default()).unwrap();
        assert_eq!(groups.group(0).unwrap().digest, None);
    }
}

#[test]
fn tables_of_other_lengths() {
    let count = |table| match table {
        TableKind::Index => sound().block_count().div_ceil(2),
        _ => sound().group_count(),
    };
    // The index is the last table if there are no digests.
    for (table, tables) in [(TableKind::Index, 3), (TableKind::Digests, 4)] {
        let fewer = count(table) - 1;
        let at = header(table) + 12;
        let edited = metadata(|bytes| {
            bytes[20] = tables;
            bytes[at..at + 4].copy_from_slice(&fewer.to_le_bytes());
        });
        let error = decode(edited, &Limits::default()).unwrap_err();
        let (expected, found) = (count(table).into(), fewer.into());
        let expected = V7Error::Count {
            table,
            expected,
            found,
        };
        assert_eq!(error, expected);
    }
    // A table of groups without even their end, in place of the digests.
    let (groups, digests) = (header(TableKind::Groups), header(TableKind::Digests));
    let edited = metadata(|bytes| {
        bytes[groups] = 99;
        bytes[digests] = 1;
        bytes[digests + 12..digests + 16].fill(0);
    });
    let error = decode(edited, &Limits::default()).unwrap_err();
    let table = TableKind::Groups;
    let (expected, found) = (1, 0);
    let expected = V7Error::Count {
        table,
        expected,
        found,
    };
    assert_eq!(error, expected);
}

/// The fault of group `index` with `value` at byte `offset` of entry `entry`.
fn fault(entry: usize, offset: usize, value: &[u8]) -> (u32, GroupFault) {
    match refused(entries(TableKind::Groups) + 24 * entry + offset, value) {
        V7Error::Group { index, fault } => (index, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_that_break_rules() {
    let groups = sound();
    let last = groups.group_count() as usize;
    let [first, second] = [0, 1].map(|index| groups.group(index).unwrap());
    let data_len = footer_of(&golden()).unwrap().data.end;
    let (block, chunk) = (1, 0);
    assert_eq!(fault(0, 8, &[1]), (0, GroupFault::First { block, chunk }));
    let (start, end) = (first.stored.end, second.stored.end);
    // Empty, and before the one in front.
    assert_eq!(
        fault(2, 0, &start.to_le_bytes()),
        (
            1,
            GroupFault::Stored {
                start,
                end: start,
                data_len
            }
        )
    );
    let (_, backwards) = fault(1, 0, &(end + 1).to_le_bytes());
    assert!(
        matches!(backwards, GroupFault::Stored { .. }),
        "{backwards:?}"
    );
    let beyond = data_len + 1;
    let (index, found) = fault(last, 0, &beyond.to_le_bytes());
    assert!(
        matches!(found, GroupFault::Stored { end, .. } if end == beyond),
        "{found:?}"
    );
    assert_eq!(index as usize, last - 1);
    let (index, found) = fault(1, 8, &[0; 4]);
    assert!(
        matches!(found, GroupFault::Blocks { min: 2, .. }),
        "{found:?}"
    );
    assert_eq!(index, 0);
    let (_, found) = fault(last, 8, &[255; 4]);
    assert!(
        matches!(found, GroupFault::Blocks { end: u32::MAX, .. }),
        "{found:?}"
    );
    let (_, found) = fault(1, 12, &[0; 4]);
    assert!(
        matches!(
            found,
            GroupFault::Chunks {
                start: 0,
                end: 0,
                ..
            }
        ),
        "{found:?}"
    );
    let (_, found) = fault(last, 12, &[255; 4]);
    assert!(
        matches!(found, GroupFault::Chunks { end: u32::MAX, .. }),
        "{found:?}"
    );
    let expected = first.len + 1;
    let found = first.len.into();
    assert_eq!(
        fault(0, 16, &expected.to_le_bytes()),
        (0, GroupFault::Len { expected, found })
    );
}

#[test]
fn chunks_that_break_rules() {
    let lengths = entries(TableKind::Lengths);
    let chunk = 0;
    let fault = GroupFault::EmptyChunk { chunk };
    assert_eq!(
        refused(lengths, &[0; 4]),
        V7Error::Group { index: 0, fault }
    );
    let error = refused(lengths, &[255; 4]);
    assert!(
        matches!(
            error,
            V7Error::Group {
                index: 0,
                fault: GroupFault::Len { .. }
            }
        ),
        "{error:?}"
    );
    // Nothing is compressed, but the first group is shorter as stored.
    let error = refused(header(TableKind::Groups) + 17, &[0]);
    assert!(
        matches!(
            error,
            V7Error::Group {
                fault: GroupFault::Plain { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let limits = Limits::default().max_chunks(3);
    let error = decode(metadata(|_| ()), &limits).unwrap_err();
    let found = sound().chunk_count().into();
    let (what, max) = ("chunks", 3);
    assert_eq!(error, V7Error::Limit { what, found, max });
}

#[test]
fn an_index_that_leads_elsewhere() {
    let index = entries(TableKind::Index);
    let error = refused(index, &[1, 0, 0, 0]);
    let (entry, block, expected, found) = (0, 0, 0, 1);
    assert_eq!(
        error,
        V7Error::Index {
            entry,
            block,
            expected,
            found
        }
    );
}

/// Groups of an upper layer, and copies: never both.
#[test]
fn data_of_an_upper_layer() {
    let incremental = metadata(|bytes| bytes[12] = 1);
    let groups = decode(incremental, &Limits::default()).unwrap();
    assert!(groups.header().is_incremental());
    let digests = header(TableKind::Digests);
    // The table of digests as one of copies, which says of each group what the digest begins with.
    let copies = metadata(|bytes| bytes[digests] = 5);
    let groups = decode(copies, &Limits::default()).unwrap();
    assert!(groups.is_redirect());
    assert!(groups.group(0).unwrap().redirect.is_some());
    let both = metadata(|bytes| {
        bytes[12] = 1;
        bytes[digests] = 5;
    });
    let error = decode(both, &Limits::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Unsupported);
    let (structure, offset) = ("blob metadata", 0);
    let feature = "copied groups and data of an upper layer together";
    assert_eq!(
        error,
        V7Error::Unsupported {
            structure,
            offset,
            feature
        }
    );
    let none = metadata(|bytes| {
        bytes[digests] = 5;
        bytes[digests + 24..digests + 26].fill(0);
    });
    let error = decode(none, &Limits::default()).unwrap_err();
    let (index, fault) = (0, GroupFault::Redirect);
    assert_eq!(error, V7Error::Group { index, fault });
}
