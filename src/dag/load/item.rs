//! Values out of JSON items. Each is None where the item is not of its kind: that has been reported by then.

use std::time::Duration;

use super::super::draft::{DraftValue, Text};
use super::super::json::{Item, Kind};
use super::super::shape;
use crate::dag::map_of;

pub(super) fn text_of(item: Item<'_>) -> Option<Text> {
    (item.kind() == Kind::String).then(|| Text {
        text: item.text().into_owned(),
        span: Some(item.span()),
    })
}

pub(super) fn string_of(item: Item<'_>) -> Option<String> {
    text_of(item).map(|text| text.text)
}

pub(super) fn boolean_of(item: Item<'_>) -> Option<bool> {
    match item.kind() {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => None,
    }
}

pub(super) fn number_of<T: TryFrom<i64>>(item: Item<'_>) -> Option<T> {
    shape::integer(item).and_then(|number| number.try_into().ok())
}

pub(super) fn count_of(item: Item<'_>) -> Option<u32> {
    number_of(item).filter(|&count| count > 0)
}

pub(super) fn timeout_of(item: Item<'_>) -> Option<Duration> {
    duration_of(item).filter(|timeout| !timeout.is_zero())
}

pub(super) fn duration_of(item: Item<'_>) -> Option<Duration> {
    let written = matches!(item.kind(), Kind::String | Kind::Number);
    written.then(|| shape::duration(item).ok()).flatten()
}

/// The member of an object under a key.
pub(super) fn member<'d>(object: Item<'d>, name: &str) -> Option<Item<'d>> {
    let mut members = object.members();
    members
        .find(|(key, _)| key.text() == name)
        .map(|(_, value)| value)
}

pub(super) fn texts_of(array: Item<'_>) -> Vec<Text> {
    array.elements().filter_map(text_of).collect()
}

pub(super) fn pairs_of(object: Item<'_>) -> Vec<(Text, Text)> {
    object
        .members()
        .filter_map(|(key, value)| Some((text_of(key)?, text_of(value)?)))
        .collect()
}

pub(super) fn draft_value(item: Item<'_>) -> DraftValue {
    // Recursion is bounded by json::DEPTH_MAX.
    match item.kind() {
        Kind::Null | Kind::True | Kind::False | Kind::Number => DraftValue::Plain(item.to_value()),
        Kind::String => DraftValue::Text(Text {
            text: item.text().into_owned(),
            span: Some(item.span()),
        }),
        Kind::Array => DraftValue::Array(item.elements().map(draft_value).collect()),
        Kind::Object => DraftValue::Object(map_of(
            item.members()
                .map(|(key, value)| (key.text().into_owned(), draft_value(value))),
        )),
    }
}
