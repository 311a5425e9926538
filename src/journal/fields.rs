//! From a checked JSON object to a struct: what nanoserde derives, without a second pass over the text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dag::Value;
use crate::dag::json::{Item, Kind};
use crate::dag::map_of;
use crate::timetable::Timestamp;

/// What a member of a line's object is read as; `None` if it is something else.
pub(super) trait Read<'l>: Sized {
    fn read(item: Item<'l>) -> Option<Self>;
}

impl<'l> Read<'l> for Cow<'l, str> {
    fn read(item: Item<'l>) -> Option<Self> {
        (item.kind() == Kind::String).then(|| item.text())
    }
}

impl Read<'_> for String {
    fn read(item: Item<'_>) -> Option<Self> {
        Cow::read(item).map(Cow::into_owned)
    }
}

impl Read<'_> for Arc<str> {
    fn read(item: Item<'_>) -> Option<Self> {
        Some((&*Cow::read(item)?).into())
    }
}

impl Read<'_> for Timestamp {
    fn read(item: Item<'_>) -> Option<Self> {
        Self::parse(&Cow::read(item)?).ok()
    }
}

/// From one moment until another.
impl Read<'_> for (Timestamp, Timestamp) {
    fn read(item: Item<'_>) -> Option<Self> {
        let mut moments = item.elements().map(Timestamp::read);
        match (moments.next(), moments.next(), moments.next()) {
            (Some(from), Some(until), None) => Some((from?, until?)),
            _ => None,
        }
    }
}

impl Read<'_> for bool {
    fn read(item: Item<'_>) -> Option<Self> {
        match item.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => None,
        }
    }
}

impl Read<'_> for i32 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read<'_> for u32 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read<'_> for u64 {
    fn read(item: Item<'_>) -> Option<Self> {
        item.raw().parse().ok()
    }
}

impl Read<'_> for Arc<Value> {
    fn read(item: Item<'_>) -> Option<Self> {
        Some(Self::new(item.to_value()))
    }
}

impl Read<'_> for BTreeMap<String, Value> {
    fn read(item: Item<'_>) -> Option<Self> {
        let members = item.members();
        let members = members.map(|(key, value)| (key.text().into_owned(), value.to_value()));
        (item.kind() == Kind::Object).then(|| map_of(members))
    }
}

impl Read<'_> for BTreeMap<Arc<str>, u64> {
    fn read(item: Item<'_>) -> Option<Self> {
        let mut counts = Self::new();
        for (key, value) in item.members() {
            counts.insert(Arc::read(key)?, u64::read(value)?);
        }
        (item.kind() == Kind::Object).then_some(counts)
    }
}

impl<'l, T: Read<'l>> Read<'l> for Vec<T> {
    fn read(item: Item<'l>) -> Option<Self> {
        let is_array = item.kind() == Kind::Array;
        is_array.then(|| item.elements().map(T::read).collect())?
    }
}

/// What is there. `null` is a value like any other: nothing here is written so if it is not there.
impl<'l, T: Read<'l>> Read<'l> for Option<T> {
    fn read(item: Item<'l>) -> Option<Self> {
        T::read(item).map(Some)
    }
}

/// A struct that is read from an object's members of the same names. What is not there is as it is by
/// default, and members of other names are ignored.
macro_rules! fields {
    ($(#[$about:meta])* $see:vis struct $name:ident<$l:lifetime> { $($key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Default)]
        $see struct $name<$l> {
            $($field: $type,)*
        }

        impl<$l> $crate::journal::fields::Read<$l> for $name<$l> {
            fn read(item: $crate::dag::json::Item<$l>) -> Option<Self> {
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
