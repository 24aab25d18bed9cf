use super::*;

fn regions(list: &[(u64, u64)]) -> Regions {
    let list = list.to_vec();
    Regions { list, limit: 8 }
}

#[test]
fn regions_become_spans_of_the_source() {
    let spans = regions(&[(0, 512), (4096, 1), (9000, 0)])
        .spans(9000, 2048, 513)
        .unwrap();
    let list: Vec<_> = spans
        .as_slice()
        .iter()
        .map(|s| (s.file_offset, s.source_offset, s.len))
        .collect();
    assert_eq!(list, [(0, 2048, 512), (4096, 2560, 1)]);
}

#[test]
fn bad_regions_are_refused() {
    type Case<'a> = (&'a [(u64, u64)], u64, SparseFault);
    let cases: [Case<'_>; 6] = [
        (&[(0, 4), (3, 2)], 6, SparseFault::Regions { size: 100 }),
        (&[(8, 4), (0, 2)], 6, SparseFault::Regions { size: 100 }),
        (&[(99, 2)], 2, SparseFault::Regions { size: 100 }),
        (&[(u64::MAX, 2)], 2, SparseFault::Regions { size: 100 }),
        (
            &[(0, 4)],
            5,
            SparseFault::DataLen {
                regions: 4,
                stored: 5,
            },
        ),
        (
            &[],
            5,
            SparseFault::DataLen {
                regions: 0,
                stored: 5,
            },
        ),
    ];
    for (list, stored, fault) in cases {
        assert_eq!(regions(list).spans(100, 0, stored), Err(fault));
    }
    assert_eq!(regions(&[]).check_alignment(), Ok(()));
    let open_end = regions(&[(0, 512), (1024, 5), (2000, 0)]);
    assert_eq!(open_end.check_alignment(), Ok(()));
    let refusal = Err(Refusal::SparseRegion { len: 5 });
    assert_eq!(regions(&[(0, 5), (512, 5)]).check_alignment(), refusal);
}

fn read_map(text: &str) -> Result<Option<Regions>, SparseFault> {
    let mut map = MapReader::new(8);
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    for block in bytes.chunks_exact(512) {
        if map.push(block.try_into().unwrap())? {
            return Ok(Some(map.into_regions()));
        }
    }
    Ok(None)
}

#[test]
fn a_map_in_front_of_the_payload_is_read() {
    let list = |text: &str| read_map(text).map(|r| r.map(|r| r.list));
    assert_eq!(
        list("2\n0\n512\n4096\n7\n"),
        Ok(Some(vec![(0, 512), (4096, 7)]))
    );
    assert_eq!(list("0\n"), Ok(Some(vec![])));
    assert_eq!(list("8\n0\n"), Err(SparseFault::Number));
    assert_eq!(list("9\n"), Err(SparseFault::TooMany { limit: 8 }));
    assert_eq!(list("1\n-1\n5\n"), Err(SparseFault::Number));
    assert_eq!(list("-1\n"), Err(SparseFault::Number));
    assert_eq!(list("\n"), Err(SparseFault::Number));
    assert_eq!(list(&"0".repeat(600)), Err(SparseFault::Number));
    let across = format!(
        "{}\n1\n",
        "8\n".to_owned() + &"00000000000000000\n".repeat(16)
    );
    assert_eq!(list(&across).map(|r| r.is_some()), Ok(true));
}
