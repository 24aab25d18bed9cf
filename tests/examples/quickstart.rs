//! `quickstart`.

use std::fs;

use serde_json::Value;

use crate::{Fixture, example, json, noise, text};

#[test]
fn quickstart_takes_an_image_without_files() {
    let fixture = Fixture::new();
    let source = fixture.path("empty");
    fs::create_dir_all(source.join("only/directories")).unwrap();
    let value = json(example("quickstart").arg(&source));
    assert_eq!(
        (&value["equal"], &value["file"]),
        (&Value::Bool(true), &Value::Null)
    );
    for conversion in value["conversions"].as_array().unwrap() {
        assert_eq!(conversion["fetched_bytes"], 0);
    }
    let table = text(example("quickstart").arg(&source));
    assert!(
        table.contains("read lazily: nothing, there is no regular file\n"),
        "{table}"
    );
}

#[test]
fn quickstart_says_what_was_checked_and_what_lazy_reading_saves() {
    let fixture = Fixture::new();
    let source = fixture.path("source");
    let said = text(example("quickstart").arg(&source));
    assert!(
        said.contains("They are too small to show what lazy reading saves"),
        "{said}"
    );
    fs::write(source.join("noise"), noise(4 << 20)).unwrap();
    for number in 0..4 {
        let content = format!("{number}").repeat(2000);
        fs::write(source.join(format!("small{number}")), content).unwrap();
    }
    let said = text(example("quickstart").arg(&source));
    let checked = said.split_once("checked by this program:\n").unwrap().1;
    let rows: Vec<_> = checked
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(rows.len(), 6, "{said}");
    assert!(rows.iter().all(|row| row.contains("every ")), "{said}");
    let closing = said
        .split_once("\nNo fault was found in 6 images; 6 of them ")
        .unwrap()
        .1;
    let most = closing.split_once("took at most ").unwrap().1;
    let most: f64 = most.split_once(" %").unwrap().0.parse().unwrap();
    assert!(most < 5.0, "{said}");
    for line in said.lines() {
        assert!(line.len() <= 80, "{line}");
    }
}
