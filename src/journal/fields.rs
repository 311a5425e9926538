//! From a checked JSON object to a struct: what nanoserde derives, without a second pass over the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dag::Value;
use crate::dag::json::{Item, Kind};
use crate::dag::map_of;

/// What a member of a line's object is read as; `None` if it is something else.
pub(super) trait Read: Sized {
    fn read(item: Item<'_>) -> Option<Self>;
}

impl Read for String {
    fn read(item: Item<'_>) -> Option<Self> {
        (item.kind() == Kind::String).then(|| item.text().into_owned())
    }
}

impl Read for bool {
    fn read(item: Item<'_>) -> Option<Self> {
        match item.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => None,
        }
    }
}

impl Read for i32 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read for u32 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read for u64 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read for Arc<Value> {
    fn read(item: Item<'_>) -> Option<Self> {
        Some(Self::new(item.to_value()))
    }
}

impl Read for BTreeMap<String, Value> {
    fn read(item: Item<'_>) -> Option<Self> {
        let members = item.members();
        let members = members.map(|(key, value)| (key.text().into_owned(), value.to_value()));
        (item.kind() == Kind::Object).then(|| map_of(members))
    }
}

impl Read for BTreeMap<String, u64> {
    fn read(item: Item<'_>) -> Option<Self> {
        let mut counts = Self::new();
        for (key, value) in item.members() {
            counts.insert(key.text().into_owned(), u64::read(value)?);
        }
        (item.kind() == Kind::Object).then_some(counts)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(item: Item<'_>) -> Option<Self> {
        let is_array = item.kind() == Kind::Array;
        is_array.then(|| item.elements().map(T::read).collect())?
    }
}

/// What is there. `null` is a value like any other: nothing here is written so if it is not there.
impl<T: Read> Read for Option<T> {
    fn read(item: Item<'_>) -> Option<Self> {
        T::read(item).map(Some)
    }
}

/// A struct that is read from an object's members of the same names. What is not there is as it is by
/// default, and members of other names are ignored.
macro_rules! fields {
    ($(#[$about:meta])* struct $name:ident { $($key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Default)]
        struct $name {
            $($field: $type,)*
        }

        impl $crate::journal::fields::Read for $name {
            fn read(item: $crate::dag::json::Item<'_>) -> Option<Self> {
                let mut fields = Self::default();
                for (key, value) in item.members() {
                    match &*key.text() {
                        $($key => fields.$field = $crate::journal::fields::Read::read(value)?,)*
                        _ => {}
                    }
                }
                Some(fields)
            }
        }
    };
}
pub(super) use fields;
