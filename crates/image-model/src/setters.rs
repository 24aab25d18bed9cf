//! Setters of options structs.

/// Methods, in an `impl` block, that set the public fields of an options struct by value. The
/// struct is `#[non_exhaustive]`, so that fields can be added; other crates build it with these
/// methods. A field is set to the method's argument, or to the value after `=`.
///
/// ```
/// use std::path::PathBuf;
///
/// #[derive(Default)]
/// #[non_exhaustive]
/// pub struct Options {
///     /// Accept more.
///     pub lenient: bool,
///     /// Where temporary files are.
///     pub directory: Option<PathBuf>,
/// }
///
/// impl Options {
///     lazyoci_image_model::setters! {
///         lenient: bool,
///         directory: impl Into<PathBuf> = Some(directory.into()),
///     }
/// }
///
/// let options = Options::default().lenient(true).directory("/tmp");
/// assert!(options.lenient && options.directory.is_some());
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    (@value $field:ident) => { $field };
    (@value $field:ident $value:expr) => { $value };
    ($($(#[$attribute:meta])* $field:ident: $kind:ty $(= $value:expr)?),* $(,)?) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        $(#[$attribute])*
        #[must_use]
        pub fn $field(mut self, $field: $kind) -> Self {
            self.$field = $crate::setters!(@value $field $($value)?);
            self
        }
    )*};
}
