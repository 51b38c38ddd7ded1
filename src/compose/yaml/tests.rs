use super::*;

/// The tree in one line, or the problems, each as `line:column message`.
fn read(text: &str) -> Result<String, Vec<String>> {
    let mut report = Report::new("f");
    let root = load(text, &mut report);
    report.into_result(root).map(|node| show(&node)).map_err(|error| {
        error.problems.iter().map(|problem| format!("{} {}", &problem.place[2..], problem.message)).collect()
    })
}

fn show(node: &Node) -> String {
    let at = format!("@{}:{}", node.at.line, node.at.column);
    match &node.value {
        Value::Null => format!("null{at}"),
        Value::Scalar(scalar) => format!("{:?}{at}", scalar.text),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key, show(&entry.value));
            format!("{{{}}}", map.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn everything_knows_its_place_and_keeps_its_spelling() {
    let tree = read("a: 1.10\nb:\n  - yes\n  - '~'\n  - ~\nc: {d: \"x\\ty\", e: }\n").unwrap();
    assert_eq!(
        tree,
        r#"{a: "1.10"@1:4, b: ["yes"@3:5, "~"@4:5, null@5:5], c: {d: "x\ty"@6:8, e: null@6:17}}"#
    );
}

#[test]
fn anchors_aliases_and_merge_keys_resolve_to_where_they_were_written() {
    let text =
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 0}\nw: {<<: *x}\nv: &v k\n*v : *v\n";
    let tree = read(text).unwrap();
    assert!(tree.contains(r#"z: {a: "0"@3:22, b: "2"@1:17, c: "4"@2:17}"#), "{tree}");
    assert!(tree.contains(r#"w: {a: "1"@1:11, b: "2"@1:17}"#), "{tree}");
    assert!(tree.contains(r#"k: "k"@5:7"#), "{tree}");
}

#[test]
fn problems_are_collected_and_placed() {
    let text = "a: 1\na: 2\n? [1]\n: x\nb: *nope\nc: !reset null\nd: {<<: 3, <<: 4}\ne: !!str ok\n";
    assert_eq!(
        read(text).unwrap_err(),
        [
            "2:1 the key a stands twice in this mapping, first at line 1",
            "3:3 a list stands where a key is due",
            "5:4 the alias *nope has no anchor above it",
            "6:11 the tag !reset is not supported",
            "7:9 `<<` is given a single value",
            "7:12 `<<` stands twice in this mapping",
        ]
    );
    assert!(read("a: 1\n---\nb: 2\n").unwrap_err()[0].starts_with("2:1 the file holds a second document"));
    assert!(read("a: &a [*a]").unwrap_err()[0].contains("inside the value it names"));
    assert!(read("a: [1\nb: 2").unwrap_err()[0].contains("this is not YAML"));
    assert_eq!(read(""), Err(vec![]));
}

#[test]
fn expansion_and_depth_are_bounded() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 8].join(", ");
        laughs += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(read(&laughs).unwrap_err()[0].contains("aliases are put in"));
    let merges = (1..2_000).fold("m0: &m0 {k: 1}\n".to_owned(), |all, at| {
        all + &format!("m{at}: &m{at} {{<<: *m{}, k{at}: 1}}\n", at - 1)
    });
    assert!(read(&merges).unwrap_err()[0].contains("aliases are put in"));
    assert!(read(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap_err()[0].contains("64 levels"));
    assert!(
        read(&format!(
            "a: &a {}{}\nb: {}*a{}",
            "[".repeat(50),
            "]".repeat(50),
            "[".repeat(50),
            "]".repeat(50)
        ))
        .unwrap_err()[0]
            .contains("64 levels")
    );
}
