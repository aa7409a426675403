//! The chat template that a model file carries, rendered as its authors' library renders it (Jinja with trimmed
//! blocks). Templates come from downloaded files, so every failure is an error, never a panic.

use chrono::Utc;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use super::{ChatMessage, InferenceError};

const NAME: &str = "chat";
/// Instructions that a template may execute: a template that loops for ever ends with an error.
const FUEL: u64 = 5_000_000;

/// A compiled template and the special tokens that it may name.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Compiles `source`.
    pub(crate) fn new(source: String, bos_token: String, eos_token: String) -> Result<Self, InferenceError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", |format: String| format_now(&format));
        environment.set_unknown_method_callback(|_, value, method, arguments| string_method(value, method, arguments));
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| InferenceError::failed("the model's chat template", error))?;
        Ok(Self { environment, bos_token, eos_token })
    }

    /// The prompt up to the place where the assistant's answer begins.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<String, InferenceError> {
        let values = context! {
            messages => messages,
            add_generation_prompt => true,
            bos_token => self.bos_token,
            eos_token => self.eos_token,
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(values))
            .map_err(|error| InferenceError::failed("the model's chat template", error))
    }
}

fn to_json(value: &Value) -> Result<Value, Error> {
    serde_json::to_string(value)
        .map(Value::from_safe_string)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Some templates print today's date into the system message. A format that chrono does not know gives no text.
fn format_now(format: &str) -> String {
    let items: Vec<_> = chrono::format::StrftimeItems::new(format).collect();
    if items.contains(&chrono::format::Item::Error) {
        return String::new();
    }
    Utc::now().format_with_items(items.into_iter()).to_string()
}

/// The methods of Python strings that chat templates use.
fn string_method(value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    let text = value.as_str().ok_or_else(unknown)?;
    let argument = arguments.first().and_then(Value::as_str);
    Ok(match (method, argument) {
        ("strip", None) => Value::from(text.trim()),
        ("lstrip", None) => Value::from(text.trim_start()),
        ("rstrip", None) => Value::from(text.trim_end()),
        ("upper", None) => Value::from(text.to_uppercase()),
        ("lower", None) => Value::from(text.to_lowercase()),
        ("startswith", Some(start)) => Value::from(text.starts_with(start)),
        ("endswith", Some(end)) => Value::from(text.ends_with(end)),
        ("split", Some(separator)) if !separator.is_empty() => text.split(separator).map(Value::from).collect(),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Role;

    fn render(source: &str) -> Result<String, InferenceError> {
        let messages = [
            ChatMessage { role: Role::System, content: " Be brief. ".to_owned() },
            ChatMessage { role: Role::User, content: "Hi {{ bos_token }}".to_owned() },
        ];
        ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned())?.render(&messages)
    }

    #[test]
    fn blocks_are_trimmed_and_messages_stay_literal() {
        let source = "{{ bos_token }}{% for message in messages %}\n  {% if message.role == 'system' %}\n\
            [{{ message['content'].strip() }}]\n  {% else %}\n{{ message.role }}: {{ message.content }}{{ eos_token }}\n\
            {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}assistant:{% endif %}";
        assert_eq!(render(source).unwrap(), "<s>[Be brief.]\nuser: Hi {{ bos_token }}</s>\nassistant:");
    }

    #[test]
    fn tools_are_absent_and_json_is_plain() {
        let source = "{% if tools %}no{% endif %}{{ messages[1] | tojson }}";
        assert_eq!(render(source).unwrap(), r#"{"role":"user","content":"Hi {{ bos_token }}"}"#);
    }

    #[test]
    fn failures_are_errors() {
        for (source, text) in [
            ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
            ("{% for message in messages %}", "chat template"),
            ("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", "fuel"),
            ("{{ messages[0].content.explode() }}", "explode"),
        ] {
            let error = render(source).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        assert_eq!(render("{{ strftime_now('%') }}").unwrap(), "");
        assert_eq!(render("{{ strftime_now('%Y') }}").unwrap().len(), 4);
    }
}
