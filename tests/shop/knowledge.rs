//! Documents and records as merchants upload them: fixtures of every format, the development shop where it is at hand,
//! and hostile files, which are read or refused but never crash.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use shoptalk::{
    catalog::{EventKind, OrderStatus},
    knowledge::{
        BlockKind, ChunkKind, Document, FileKind, ReadError, chunks, detect_kind, read_document, read_events,
        read_orders, read_products, read_reviews,
    },
    language::detect_language,
    message::Language,
};

fn fixture(name: &str) -> Document {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/documents").join(name);
    read_document(name, &fs::read(path).unwrap()).unwrap()
}

/// Heading path and text of each block.
fn outline(document: &Document) -> Vec<(String, &str)> {
    document.blocks.iter().map(|block| (block.heading.join(" / "), block.text.as_str())).collect()
}

fn cells(document: &Document, row: &str) -> Vec<(String, String)> {
    let block = document.blocks.iter().find(|block| block.text == row).unwrap_or_else(|| panic!("no row {row}"));
    match &block.kind {
        BlockKind::TableRow { cells, .. } => cells.clone(),
        other => panic!("{row} is {other:?}"),
    }
}

/// Data beside the repository that not every machine has.
fn shared(path: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SHOPTALK_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let found = data.parent()?.join(path);
    found.exists().then_some(found)
}

#[test]
fn a_word_document_is_read_as_its_reader_sees_it() {
    let document = fixture("repairs.docx");
    assert_eq!(document.title.as_deref(), Some("Repairs"));
    let found = outline(&document);
    assert_eq!(found[0].0, "Repairs / Costs");
    assert!(found[0].1.contains("€5 inserted") && !found[0].1.contains("deleted") && !found[0].1.contains("secret"));
    assert_eq!(found[1], ("Repairs / Costs / Opening hours".into(), "Daily from nine."));
    assert_eq!(document.blocks[2].kind, BlockKind::ListItem);
    assert_eq!(
        cells(&document, "Watch | 4 days | €15")[0],
        ("Device".into(), "Watch".into()),
        "a merged cell holds below"
    );
    assert_eq!(cells(&document, "Hours: | 9 to 5"), [("Hours".into(), "9 to 5".into())]);
    assert_eq!(found.last().unwrap(), &("Repairs / Costs / 二级标题".to_owned(), "维修需要三天。"));
    assert!(document.dropped.iter().any(|what| what.contains("tracked changes")));
    assert!(document.dropped.iter().any(|what| what.contains("hidden text")));
}

#[test]
fn a_workbook_shows_what_its_cells_show() {
    let document = fixture("prices.xlsx");
    let rows: Vec<&str> = document.blocks.iter().map(|block| block.text.as_str()).collect();
    assert_eq!(
        rows,
        ["Kettle | €45.00 | 15% | 2026-03-01", "Toaster | €29.50 | 10% | 2026-04-01", "A1 | 45", "A2 | 12.5"]
    );
    assert_eq!(document.blocks[2].heading, ["配件"]);
    assert!(matches!(&document.blocks[0].kind, BlockKind::TableRow { caption, .. } if caption == "Price list 2026"));
    assert!(document.dropped[0].contains("Internal"), "hidden sheets are not read: {:?}", document.dropped);
}

#[test]
fn a_pdf_keeps_headings_paragraphs_lists_and_tables() {
    let document = fixture("lines.pdf");
    let found = outline(&document);
    assert!(
        found[0].0.ends_with("/ Parcels")
            && found[0].1.starts_with("Every parcel")
            && found[0].1.ends_with("public holiday.")
    );
    assert_eq!(found[1].1, "We send a message with the number of the parcel.");
    assert_eq!(
        cells(&document, "Medium | €14.00, or €11.00 for members of the club who ordered before noon | 4 working days")
            [2],
        ("Delivery".into(), "4 working days".into())
    );
    assert_eq!(cells(&document, "Tents | 4 days | 6 days | 8 days")[3], ("Summer".into(), "8 days".into()));
    assert_eq!(document.blocks.last().unwrap().kind, BlockKind::ListItem);
    assert!(!found.iter().any(|(_, text)| *text == "1"), "the page number is left out");
}

#[test]
fn a_chinese_pdf_has_no_spaces_where_lines_were_wrapped() {
    let document = fixture("chinese.pdf");
    assert_eq!(document.language, Language::Zh);
    let found = outline(&document);
    assert_eq!(
        found[0],
        (
            "保修说明".into(),
            "本说明适用于2026年3月1日以后在本店购买的全部商品，请妥善保存购物收据，维修时需要出示收据原件或者手机截图，否则无法享受免费保修服务。"
        )
    );
    assert_eq!(found[1].1, "送修时请先备份数据。");
    assert_eq!(cells(&document, "电饭煲 | 18个月 | 不含锅盖")[1], ("保修期".into(), "18个月".into()));
}

#[test]
fn a_page_gives_only_what_visitors_see() {
    let page = r#"<!doctype html><html><head><title>Help</title><style>.x{display:none} @media print{.y{display:none}}</style></head>
        <body><header>Top <a>menu</a></header><nav>Deals</nav><h1>Help</h1><p>We open at <b>nine</b>.<br>Daily.</p>
        <div class="x">ghost1</div><div style="position:absolute; left:-9999px">ghost2</div><p hidden>ghost3</p>
        <span aria-hidden="true">ghost4</span><!-- ghost5 --><template>ghost6</template><script>var a="ghost7"</script>
        <p class="y">On paper not.</p>
        <details><summary>Is it free?</summary><p>Yes, always.</p></details>
        <table><caption>Rates</caption><tr><th rowspan=2>To</th><th>Price</th></tr><tr><td>€5</td></tr></table>
        <dl><dt>Phone</dt><dd>03 555</dd></dl><footer>Imprint</footer></body></html>"#;
    let document = read_document("help.html", page.as_bytes()).unwrap();
    let all = document.blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(
        !all.contains("ghost") && !all.contains("menu") && !all.contains("Deals") && !all.contains("Imprint"),
        "{all}"
    );
    assert!(all.contains("We open at nine.\nDaily.") && all.contains("On paper not."));
    let question = document.blocks.iter().find(|block| matches!(block.kind, BlockKind::QuestionAnswer { .. })).unwrap();
    assert_eq!(question.text, "Yes, always.");
    assert_eq!(cells(&document, "To | €5"), [("To".into(), "To".into()), ("Price".into(), "€5".into())]);
    assert_eq!(cells(&document, "Phone | 03 555"), [("Phone".into(), "03 555".into())]);
}

#[test]
fn every_document_of_the_development_shop_is_read_completely() {
    let Some(shop) = shared("dev_shop/shops/brightcell") else { return };
    for entry in fs::read_dir(shared("dev_shop/truth_text/brightcell").unwrap()).unwrap() {
        let truth_path = entry.unwrap().path();
        let name = truth_path.file_stem().unwrap().to_str().unwrap();
        let document = read_document(name, &fs::read(shop.join(name)).unwrap()).unwrap();
        let squash = |text: &str| text.split_whitespace().collect::<String>();
        let mut seen: Vec<String> = Vec::new();
        for block in &document.blocks {
            seen.extend(block.heading.iter().map(|heading| squash(heading)));
            seen.push(squash(&block.text));
            match &block.kind {
                BlockKind::TableRow { cells, .. } => {
                    seen.push(squash(&cells.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("|")));
                    seen.push(squash(&cells.iter().map(|(h, v)| format!("{h}: {v}")).collect::<Vec<_>>().join("; ")));
                    seen.push(squash(&cells.iter().map(|(header, _)| header.as_str()).collect::<Vec<_>>().join("|")));
                }
                BlockKind::QuestionAnswer { question } => seen.push(squash(&format!("{question}|{}", block.text))),
                _ => {}
            }
        }
        let truth = fs::read_to_string(&truth_path).unwrap();
        let is_table_of_questions =
            detect_kind(name, &fs::read(shop.join(name)).unwrap()) == FileKind::QuestionsAnswers;
        for line in truth.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("===")) {
            // Tables of questions are listed with their column names, which are no part of an answer.
            if is_table_of_questions
                && (line.contains("; answer: ")
                    || line.contains("; 回答: ")
                    || line.ends_with("| answer")
                    || line.ends_with("| 回答"))
            {
                continue;
            }
            let wanted = squash(line.trim_start_matches('#'));
            assert!(seen.iter().any(|text| text.contains(&wanted)), "{name} lacks {line:?}");
        }
        let all: String = document.blocks.iter().map(|block| block.text.as_str()).collect();
        assert!(!all.contains("GLOW77"), "a script's text is no content");
        let expected = detect_language(&truth).unwrap();
        assert_eq!(document.language, expected, "{name}");
        let cut = chunks(name, &document, &|text| text.chars().count() / 3, 160);
        assert!(cut.iter().all(|chunk| chunk.search_text.contains(chunk.question.as_deref().unwrap_or(""))));
        assert!(
            name == "stores.txt" || cut.iter().any(|chunk| chunk.kind != ChunkKind::Text),
            "{name} has rows or questions"
        );
    }
}

#[test]
fn the_records_of_the_development_shop_are_read_completely() {
    let Some(shop) = shared("dev_shop/shops/brightcell") else { return };
    let file = |name: &str| fs::read(shop.join(name)).unwrap();
    for (name, kind) in [
        ("products.csv", FileKind::Products),
        ("orders.csv", FileKind::Orders),
        ("reviews.csv", FileKind::Reviews),
        ("events.csv", FileKind::Events),
        ("club.csv", FileKind::QuestionsAnswers),
        ("会员常见问题.csv", FileKind::QuestionsAnswers),
        ("power_guide.xlsx", FileKind::Document),
        ("warranty.pdf", FileKind::Document),
    ] {
        assert_eq!(detect_kind(name, &file(name)), kind, "{name}");
    }
    let products = read_products("products.csv", &file("products.csv"), "EUR").unwrap().records;
    assert_eq!(products.len(), 45);
    assert_eq!((products[0].price.minor, products[0].attributes["colour"].as_str()), (37900, "blue"));
    assert!(products.iter().any(|product| product.compatible_with == ["BC1501"]));
    let orders = read_orders("orders.csv", &file("orders.csv"), "EUR").unwrap().records;
    assert_eq!((orders.len(), &orders[0].status), (40, &OrderStatus::Shipped));
    assert_eq!(read_reviews("reviews.csv", &file("reviews.csv")).unwrap().records.len(), 120);
    let events = read_events("events.csv", &file("events.csv")).unwrap().records;
    assert_eq!((events.len(), events[0].kind), (895, EventKind::View));
}

#[test]
fn catalogues_of_other_systems_are_read() {
    let Some(data) = shared("data") else { return };
    for name in ["apparel.csv", "home-and-garden.csv", "jewelery.csv"] {
        let bytes = fs::read(data.join("shopify_csvs").join(name)).unwrap();
        assert_eq!(detect_kind(name, &bytes), FileKind::Products, "{name}");
        let found = read_products(name, &bytes, "USD").unwrap();
        assert!(found.records.len() >= 15, "{name}: {}", found.records.len());
        assert!(found.records.iter().all(|product| !product.title.is_empty() && !product.description.contains('<')));
    }
    let bytes = fs::read(data.join("dummyjson/products.json")).unwrap();
    assert_eq!(detect_kind("products.json", &bytes), FileKind::Products);
    let found = read_products("products.json", &bytes, "USD").unwrap();
    assert_eq!((found.records.len(), found.reviews.len()), (194, 582));
    assert_eq!(found.records[0].attributes["return_policy"], "No return policy");
}

#[test]
fn hostile_files_are_read_or_refused() {
    let Some(folder) = shared("data/safety/files") else { return };
    let mut paths = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let step = if std::env::var_os("SHOPTALK_TEST_ALL").is_some() { 1 } else { 7 };
    let mut refused = 0;
    for path in paths.iter().step_by(step) {
        let name = path.file_name().unwrap().to_string_lossy();
        let bytes = fs::read(path).unwrap();
        detect_kind(&name, &bytes);
        match read_document(&name, &bytes) {
            Ok(document) => assert!(!document.blocks.is_empty(), "{name}"),
            Err(error) => {
                refused += 1;
                let said = error.to_string();
                assert!(said.contains(&*name) && !said.contains('\n'), "{said}");
            }
        }
    }
    assert!(refused > 0 && refused < paths.len());
}

#[test]
fn deep_nesting_is_no_danger() {
    for tag in ["div", "b", "table><tr><td", "ul><li", "details", "font"] {
        let page = format!("<html><body>{}text", format!("<{tag}>").repeat(100_000));
        assert!(matches!(read_document("a.html", page.as_bytes()), Err(ReadError::Damaged { .. })), "{tag}");
    }
    for mark in ["> ", "- ", "*", "[", "![", "`", "<b>"] {
        let text = format!("{}text", mark.repeat(50_000));
        let _ = read_document("a.md", text.as_bytes());
    }
    let json = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(detect_kind("a.json", json.as_bytes()), FileKind::Document);
    let pdf = format!("%PDF-1.4\n1 0 obj\n{}\nendobj\ntrailer<</Root 1 0 R>>", "[".repeat(100_000));
    assert!(read_document("a.pdf", pdf.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        extension in prop::sample::select(vec!["md", "txt", "html", "csv", "xlsx", "docx", "pdf", "json", "bin"]),
        start in prop::sample::select(vec![&b""[..], b"%PDF-1.7\n", b"PK\x03\x04", b"<html><table>", b"a,b\n", b"{\"", b"| a | b |\n|---|---|\n"]),
    ) {
        let bytes = [start, &bytes].concat();
        let name = format!("file.{extension}");
        let _ = detect_kind(&name, &bytes);
        let _ = read_products(&name, &bytes, "EUR");
        if let Ok(document) = read_document(&name, &bytes) {
            let cut = chunks(&name, &document, &|text| text.len() / 4, 20);
            prop_assert!(cut.iter().all(|chunk| !chunk.text.is_empty()));
        }
    }

    #[test]
    fn chunks_lose_no_text(paragraphs in prop::collection::vec("[A-Za-z,.!? 退货。]{1,200}", 1..6)) {
        let text = paragraphs.join("\n\n");
        let Ok(document) = read_document("a.md", text.as_bytes()) else { return Ok(()) };
        let squash = |text: &str| text.split_whitespace().collect::<String>();
        let whole: String = document.blocks.iter().map(|block| squash(&block.text)).collect();
        let cut: String = chunks("a.md", &document, &|text| text.len() / 4, 10).iter().map(|chunk| squash(&chunk.text)).collect();
        prop_assert_eq!(whole, cut);
    }
}
