//! The demo page at `/`: a small shop front made of the merchant's own catalogue, with the widget embedded exactly as on
//! a page of their own, and the line to copy for that.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    WidgetState,
    assets::{media_address, picture_exists},
};
use crate::{catalog::Product, config::ShopProfile, message::Language};

/// Products that are looked at to choose from.
const PRODUCTS_READ: i64 = 200;
/// Products that are shown.
const TILES_MAX: usize = 8;

/// Scripts, styles and requests only from here; pictures may lie on the merchant's picture server.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    words: &'static Words,
    lang: &'static str,
    name: String,
    initial: String,
    greeting: String,
    questions: Vec<String>,
    tiles: Vec<Tile>,
    server: String,
    profile: ShopProfile,
}

struct Tile {
    title: String,
    category: String,
    price: String,
    stock: u32,
    /// Address of the picture; `None` shows the category's first letter instead.
    picture: Option<String>,
    initial: String,
    /// 0 to 5: which of the placeholder's tints.
    tint: usize,
    /// What the button asks the assistant.
    question: String,
}

/// The page's words in one language.
struct Words {
    tag: &'static str,
    other_tag: &'static str,
    other_name: &'static str,
    shop: &'static str,
    lead: &'static str,
    ask: &'static str,
    ask_about: &'static str,
    about_product: &'static str,
    products: &'static str,
    products_note: &'static str,
    no_products: &'static str,
    in_stock: &'static str,
    sold_out: &'static str,
    questions: &'static str,
    embed: &'static str,
    embed_lead: &'static str,
    embed_options: &'static str,
    console: &'static str,
    footer: &'static str,
}

static ENGLISH: Words = Words {
    tag: "en",
    other_tag: "zh",
    other_name: "中文",
    shop: "Demo shop",
    lead: "Ask about delivery, returns or a product. The assistant answers from this shop's own documents and shows where it read it.",
    ask: "Ask a question",
    ask_about: "Ask about it",
    about_product: "Tell me more about {}.",
    products: "From the catalogue",
    products_note: "Prices and stock as imported",
    no_products: "No products yet. Import your catalogue and they appear here.",
    in_stock: "In stock",
    sold_out: "Sold out",
    questions: "People often ask",
    embed: "Put the chat on your own shop",
    embed_lead: "Copy this line into every page, just before </body>. Nothing else is needed.",
    embed_options: "Options",
    console: "Staff console",
    footer: "This page is a demonstration made from your data. Nothing can be bought here.",
};

static CHINESE: Words = Words {
    tag: "zh",
    other_tag: "en",
    other_name: "English",
    shop: "演示商店",
    lead: "配送、退货、商品，都可以问。助手根据本店自己的文档回答，并注明出处。",
    ask: "提个问题",
    ask_about: "问问这件",
    about_product: "请介绍一下{}。",
    products: "商品目录",
    products_note: "价格与库存以导入数据为准",
    no_products: "还没有商品。导入商品目录后会显示在这里。",
    in_stock: "有货",
    sold_out: "已售罄",
    questions: "大家常问",
    embed: "把聊天窗口放到您的网店",
    embed_lead: "把这一行复制到每个页面的 </body> 之前即可，无需其他步骤。",
    embed_options: "选项",
    console: "客服后台",
    footer: "本页由您的数据生成，仅作演示，不能下单。",
};

fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &ENGLISH,
        Language::Zh => &CHINESE,
    }
}

#[derive(Deserialize)]
pub(super) struct PageOptions {
    lang: Option<String>,
}

pub(super) async fn page(
    State(state): State<WidgetState>,
    Query(options): Query<PageOptions>,
    headers: HeaderMap,
) -> Response {
    let language = options.lang.as_deref().and_then(Language::from_tag).unwrap_or_else(|| accepted_language(&headers));
    let words = words(language);
    let (profile, settings) = (state.profile().await, state.settings().await);
    let name = if profile.name.is_empty() { words.shop.to_owned() } else { profile.name.clone() };
    let page = DemoPage {
        words,
        lang: language.as_str(),
        initial: first_letter(&name),
        name,
        greeting: settings.greeting.get(language).clone(),
        questions: settings.suggested_questions.get(language).clone(),
        tiles: tiles(&state, language).await,
        server: server_address(&headers),
        profile,
    };
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "the demo page cannot be rendered");
            return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept-language")),
    ];
    (headers, Html(html)).into_response()
}

async fn tiles(state: &WidgetState, language: Language) -> Vec<Tile> {
    let products = state.store.first_products(PRODUCTS_READ).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the catalogue cannot be read for the demo page");
        Vec::new()
    });
    let mut tiles = Vec::new();
    for product in varied(products, language) {
        let picture = match product.image.as_deref() {
            Some(image) if picture_exists(&state.media_dir, image).await => media_address(image),
            _ => None,
        };
        tiles.push(tile(product, picture));
    }
    tiles
}

/// Some products for the front page: in the page's language where there are any, those in stock first, and one category
/// after the other instead of eight of the first.
fn varied(products: Vec<Product>, language: Language) -> Vec<Product> {
    let own_language = products.iter().any(|product| product.language == language);
    let mut seen_of_category = std::collections::HashMap::<String, usize>::new();
    let mut ranked: Vec<_> = products
        .into_iter()
        .filter(|product| !own_language || product.language == language)
        .map(|product| {
            let seen = seen_of_category.entry(product.category.clone()).or_default();
            *seen += 1;
            ((product.stock == 0, *seen), product)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(TILES_MAX).map(|(_, product)| product).collect()
}

fn tile(product: Product, picture: Option<String>) -> Tile {
    Tile {
        question: words(product.language).about_product.replace("{}", &product.title),
        price: product.price.to_string(),
        stock: product.stock,
        initial: first_letter(if product.category.is_empty() { &product.title } else { &product.category }),
        tint: product.category.bytes().fold(7, |hash: usize, byte| (hash * 31 + usize::from(byte)) % 8191) % 6,
        title: product.title,
        category: product.category,
        picture,
    }
}

fn first_letter(text: &str) -> String {
    text.trim().chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default()
}

/// The first language of the browser's list that the product speaks.
fn accepted_language(headers: &HeaderMap) -> Language {
    let list = headers.get(header::ACCEPT_LANGUAGE).and_then(|list| list.to_str().ok()).unwrap_or_default();
    list.split(',').find_map(|tag| Language::from_tag(tag.split(';').next()?.trim())).unwrap_or_default()
}

/// How the browser reached this server, for the line to copy.
fn server_address(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let host = text("host").filter(plain).unwrap_or("your-server.example");
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_first_known_language_is_taken() {
        let language = |list: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(list));
            accepted_language(&headers)
        };
        assert_eq!(language("fr-FR, zh-CN;q=0.9, en;q=0.8"), Language::Zh);
        assert_eq!(language("en-GB,en;q=0.9,zh;q=0.5"), Language::En);
        assert_eq!(language("de"), Language::En);
    }

    #[test]
    fn a_strange_host_is_not_printed() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("a\"><script>"));
        assert_eq!(server_address(&headers), "http://your-server.example");
    }
}
