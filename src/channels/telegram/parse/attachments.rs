//! What came with a message, from the fields in which Telegram puts each kind.

use serde_json::{Map, Value};

use crate::message::{Attachment, AttachmentKind};

/// Telegram's field of each kind. A loop (`animation`) comes as a document too, so that it stands first.
const KINDS: [(&str, AttachmentKind); 17] = [
    ("photo", AttachmentKind::Photo),
    ("voice", AttachmentKind::Voice),
    ("audio", AttachmentKind::Audio),
    ("video", AttachmentKind::Video),
    ("video_note", AttachmentKind::Video),
    ("animation", AttachmentKind::Video),
    ("document", AttachmentKind::Document),
    ("sticker", AttachmentKind::Sticker),
    ("venue", AttachmentKind::Location),
    ("location", AttachmentKind::Location),
    ("contact", AttachmentKind::Contact),
    ("checklist", AttachmentKind::Other),
    ("dice", AttachmentKind::Other),
    ("game", AttachmentKind::Other),
    ("paid_media", AttachmentKind::Other),
    ("poll", AttachmentKind::Other),
    ("story", AttachmentKind::Other),
];

/// The attachment of a message: at most one, since an album comes as a message for each picture.
pub(super) fn of(fields: &Map<String, Value>) -> Vec<Attachment> {
    let found = KINDS.iter().find_map(|(field, kind)| Some((fields.get(*field)?, *kind)));
    let Some((value, kind)) = found else { return Vec::new() };
    // A photo comes in several sizes, the largest last.
    let file = value.as_array().map_or(Some(value), |sizes| sizes.last());
    let text = |name: &str| Some(file?.get(name)?.as_str()?.to_owned());
    vec![Attachment {
        kind,
        file_id: text("file_id").unwrap_or_default(),
        mime: text("mime_type"),
        name: text("file_name"),
        size: file.and_then(|file| file.get("file_size")?.as_u64()),
    }]
}
