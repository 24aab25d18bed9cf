//! What the options of all conversions share.

/// Methods that set the fields of an options struct, which may get more of them.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $kind) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

pub(crate) use setters;
