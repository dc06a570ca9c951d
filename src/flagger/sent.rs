//! JSON as Flagger sends it: strings, and objects of strings. A string is copied only if it is kept or has escapes.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A JSON value. Only strings and objects matter.
#[derive(Debug)]
pub(super) enum Sent<'a> {
    /// `null`, which counts as missing.
    Null,
    /// A string.
    Text(Cow<'a, str>),
    /// An object.
    Object(Keys<'a>),
    /// Any other type.
    Other,
}

/// The keys of an object, in the order they came.
#[derive(Debug)]
pub(super) struct Keys<'a>(pub(super) Vec<(Cow<'a, str>, Sent<'a>)>);

impl<'a> Keys<'a> {
    /// The value of a key; the last one if there are several.
    pub(super) fn get(&self, key: &str) -> Option<&Sent<'a>> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Sent<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Sent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Sent::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Sent::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            // A JSON key is always a string.
            if let Sent::Text(key) = key {
                keys.push((key, value));
            }
        }
        Ok(Sent::Object(Keys(keys)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Sent<'de>>()?.is_some() {}
        Ok(Sent::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Sent::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Sent::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Sent::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Sent::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Sent::Other)
    }
}
