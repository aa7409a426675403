//! What comes with a shopper's words: pictures, voice, files; and how the words were said (edited, pressed, in a group).

use serde::{Deserialize, Serialize};

/// What kind of thing a shopper sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture.
    Photo,
    /// A voice message.
    Voice,
    /// Music or another recording.
    Audio,
    /// A film, also a short loop or a round video message.
    Video,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Somebody's contact.
    Contact,
    /// Anything else: a poll, a dice, what the channel invents tomorrow.
    Other,
}

impl AttachmentKind {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Voice => "voice",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Other => "other",
        }
    }

    /// Stands for it in a transcript, in every language.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Photo => "📷",
            Self::Voice => "🎤",
            Self::Audio => "🎵",
            Self::Video => "🎬",
            Self::Document => "📎",
            Self::Sticker => "🏷",
            Self::Location => "📍",
            Self::Contact => "👤",
            Self::Other => "❔",
        }
    }
}

/// One thing that a shopper sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// By which the channel gives the bytes; empty for what has none, such as a place.
    #[serde(default)]
    pub file_id: String,
    /// Media type, as the sender's device says.
    #[serde(default)]
    pub mime: Option<String>,
    /// File name, as the sender's device says.
    #[serde(default)]
    pub name: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// How a message was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Origin {
    /// The channel's own id of the message, which an edit names again.
    pub message: Option<String>,
    /// The album that it is part of.
    pub album: Option<String>,
    /// It takes the place of an earlier message of the same id.
    pub edited: bool,
    /// A button said it.
    pub pressed: bool,
    /// Several people read the chat; this is where the shopper can write alone.
    pub private_at: Option<String>,
}
