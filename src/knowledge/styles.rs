//! The paragraph styles of a Word document: which of them are headings, whatever language Word was set to.

use std::collections::HashMap;

use quick_xml::{Reader as XmlReader, events::Event};

use super::docx::attribute;

/// What a paragraph style means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Running text.
    #[default]
    Text,
    /// The document's title.
    Title,
    /// A heading, from level 1.
    Heading(u8),
    /// An item of a list.
    List,
    /// Preformatted.
    Code,
    /// A line of the table of contents.
    Contents,
}

#[derive(Debug, Default)]
struct Style {
    name: String,
    parent: Option<String>,
    outline: Option<u8>,
}

/// The styles by their ids.
#[derive(Debug, Default)]
pub struct Styles(HashMap<String, Style>);

impl Styles {
    /// Reads `word/styles.xml`; what is damaged is ignored.
    pub fn read(xml: &str) -> Self {
        let mut styles = HashMap::new();
        let mut reader = XmlReader::from_str(xml);
        let mut current: Option<(String, Style)> = None;
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Start(element) | Event::Empty(element) => {
                    let value = || attribute(&element, "w:val");
                    match (element.name().as_ref(), &mut current) {
                        ("w:style", _) => {
                            current = attribute(&element, "w:styleId").map(|id| (id, Style::default()));
                        }
                        ("w:name", Some((_, style))) => style.name = value().unwrap_or_default(),
                        ("w:basedOn", Some((_, style))) => style.parent = value(),
                        ("w:outlineLvl", Some((_, style))) => {
                            style.outline = value().and_then(|level| level.parse().ok()).filter(|level| *level < 9);
                        }
                        _ => {}
                    }
                }
                Event::End(element) if element.name().as_ref() == "w:style" => {
                    styles.extend(current.take());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Self(styles)
    }

    /// What the style means, by its name, its outline level, or the style that it is based on.
    pub fn role(&self, id: &str) -> Role {
        let mut next = Some(id.to_owned());
        for _ in 0..10 {
            let Some(id) = next.take() else { break };
            let Some(style) = self.0.get(&id) else {
                return role_of_name(&id).unwrap_or_default();
            };
            if let Some(role) = role_of_name(&style.name) {
                return role;
            }
            if let Some(level) = style.outline {
                return Role::Heading(level + 1);
            }
            next.clone_from(&style.parent);
        }
        Role::Text
    }
}

fn role_of_name(name: &str) -> Option<Role> {
    let name = name.trim().to_lowercase();
    let (word, number) = match name.find(|c: char| c.is_ascii_digit()) {
        Some(position) => (name[..position].trim(), name[position..].parse::<u8>().ok()),
        None => (name.as_str(), None),
    };
    match (word, number) {
        ("title" | "标题" | "文档标题" | "titel" | "titre" | "título" | "titolo", None) => Some(Role::Title),
        ("subtitle" | "副标题", None) => Some(Role::Text),
        (
            "heading" | "标题" | "überschrift" | "berschrift" | "titre" | "título" | "titolo" | "kop" | "titel"
            | "rubrik" | "nagłówek" | "заголовок" | "見出し" | "标 题",
            Some(level @ 1..=9),
        ) => Some(Role::Heading(level)),
        ("toc" | "目录" | "toc heading" | "contents", _) => Some(Role::Contents),
        ("list bullet" | "list number" | "list" | "列表" | "列表项目符号" | "列表编号", _) => {
            Some(Role::List)
        }
        ("html preformatted" | "code" | "plain text" | "macro text", None) => Some(Role::Code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_by_name_level_and_parent() {
        let styles = Styles::read(
            r#"<w:styles xmlns:w="w"><w:style w:styleId="2"><w:name w:val="heading 1"/></w:style>
            <w:style w:styleId="a"><w:name w:val="My head"/><w:basedOn w:val="2"/></w:style>
            <w:style w:styleId="b"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
            <w:style w:styleId="loop"><w:name w:val="y"/><w:basedOn w:val="loop"/></w:style></w:styles>"#,
        );
        assert_eq!(styles.role("2"), Role::Heading(1));
        assert_eq!(styles.role("a"), Role::Heading(1));
        assert_eq!(styles.role("b"), Role::Heading(2));
        assert_eq!(styles.role("loop"), Role::Text);
        assert_eq!(styles.role("Heading3"), Role::Heading(3));
        assert_eq!(styles.role("标题 2"), Role::Heading(2));
        assert_eq!(styles.role("Title"), Role::Title);
        assert_eq!(styles.role("TOC1"), Role::Contents);
    }
}
