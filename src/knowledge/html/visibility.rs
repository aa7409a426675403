//! Which elements of a page its visitors do not read: hidden ones, and those that are not content.

use std::collections::HashSet;

use ego_tree::NodeRef;
use scraper::{Html, Node, Selector, node::Element};

/// Class names and ids that the page's own style sheets hide.
#[derive(Default)]
pub struct HiddenBy {
    classes: HashSet<String>,
    ids: HashSet<String>,
}

impl HiddenBy {
    /// Reads the page's `style` elements.
    pub fn read(html: &Html) -> Self {
        let mut hidden = Self::default();
        let Ok(selector) = Selector::parse("style") else { return hidden };
        for style in html.select(&selector) {
            hidden.read_style(&super::text_of(*style));
        }
        hidden
    }

    /// Rules outside of `@media` and the like, with plain `.class` and `#id` selectors.
    fn read_style(&mut self, css: &str) {
        let (mut depth, mut start, mut open) = (0usize, 0usize, 0usize);
        for (position, byte) in css.bytes().enumerate() {
            match byte {
                b'{' => {
                    if depth == 0 {
                        open = position;
                    }
                    depth += 1;
                }
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && open >= start {
                        let selectors = &css[start..open];
                        if !selectors.contains('@') && hides(&css[open + 1..position]) {
                            self.add(selectors);
                        }
                        start = position + 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, selectors: &str) {
        for selector in selectors.split(',').map(str::trim) {
            let plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
            if let Some(class) = selector.strip_prefix('.').filter(|name| plain(name)) {
                self.classes.insert(class.to_owned());
            } else if let Some(id) = selector.strip_prefix('#').filter(|name| plain(name)) {
                self.ids.insert(id.to_owned());
            }
        }
    }

    fn covers(&self, element: &Element) -> bool {
        element.id().is_some_and(|id| self.ids.contains(id))
            || element.classes().any(|class| self.classes.contains(class))
    }
}

/// Whether declarations of a style make an element invisible.
fn hides(style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    style.split(';').any(|declaration| {
        let (property, value) = declaration.split_once(':').unwrap_or((declaration, ""));
        let value = value.trim_end_matches("!important");
        let zero = || {
            value.trim_end_matches(|c: char| c.is_alphabetic() || c == '%').parse::<f64>().is_ok_and(|size| size == 0.0)
        };
        let far = || {
            let number = value.trim_end_matches(|c: char| c.is_alphabetic());
            number.parse::<f64>().is_ok_and(|distance| distance <= -900.0)
        };
        match property {
            "display" => value == "none",
            "visibility" => matches!(value, "hidden" | "collapse"),
            "opacity" | "font-size" => zero(),
            "width" | "height" | "max-height" | "max-width" => zero() && style.contains("overflow:hidden"),
            "left" | "right" | "top" | "text-indent" | "margin-left" => far(),
            "clip" => value.starts_with("rect(0"),
            _ => false,
        }
    })
}

/// Why an element is left out, `None` when it is content.
pub fn left_out(node: NodeRef<'_, Node>, element: &Element, hidden: &HiddenBy) -> Option<&'static str> {
    let role = element.attr("role").unwrap_or("");
    let inside_content = || {
        node.ancestors().take(64).any(|other| {
            other.value().as_element().is_some_and(|other| matches!(other.name(), "main" | "article" | "section"))
        })
    };
    match element.name() {
        "script" | "noscript" | "template" | "style" | "iframe" | "object" | "embed" | "svg" | "canvas" | "audio"
        | "video" => {
            return Some("scripts, styles and embedded content");
        }
        "head" | "title" | "meta" => return Some(""),
        "nav" | "menu" | "aside" | "dialog" => return Some("navigation and side columns"),
        "header" | "footer" if !inside_content() => return Some("page header and footer"),
        "footer" => return Some("page header and footer"),
        "button" | "select" | "input" | "textarea" | "option" | "datalist" => return Some("form fields"),
        _ => {}
    }
    match role {
        "navigation" | "complementary" | "search" | "menu" | "menubar" | "dialog" | "alertdialog" => {
            return Some("navigation and side columns");
        }
        "banner" | "contentinfo" => return Some("page header and footer"),
        _ => {}
    }
    let hidden_class =
        |class: &str| matches!(class, "hidden" | "d-none" | "sr-only" | "visually-hidden" | "screen-reader-text");
    let is_hidden = element.attr("hidden").is_some()
        || element.attr("aria-hidden").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || element.attr("style").is_some_and(hides)
        || element.classes().any(hidden_class)
        || hidden.covers(element);
    if is_hidden {
        return Some("hidden text");
    }
    let page_part = |class: &str| {
        matches!(
            class.to_ascii_lowercase().as_str(),
            "breadcrumb" | "breadcrumbs" | "cookie-banner" | "cookie-notice" | "sidebar" | "navbar"
        )
    };
    element.classes().any(page_part).then_some("navigation and side columns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_that_hide_are_known() {
        for style in [
            "display: none",
            "VISIBILITY:hidden",
            "opacity:0",
            "font-size:0px",
            "left:-9999px",
            "height:0;overflow:hidden",
            "display:none !important",
        ] {
            assert!(hides(style), "{style}");
        }
        for style in ["display:block", "opacity:0.9", "left:-10px", "height:0", "color:#fff"] {
            assert!(!hides(style), "{style}");
        }
    }

    #[test]
    fn only_plain_rules_outside_of_media_queries_hide() {
        let mut hidden = HiddenBy::default();
        hidden
            .read_style(".a, #b {display:none} @media print { .c {display:none} } .d p {display:none} .e {color:red}");
        assert_eq!(hidden.classes.into_iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(hidden.ids.into_iter().collect::<Vec<_>>(), ["b"]);
    }
}
