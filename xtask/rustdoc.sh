#!/bin/sh
# What cargo is told to run as rustdoc where JSON is wanted, which stable compilers give only to who asks so. The
# variable is for rustdoc alone: seen by cargo, it would build every dependency that looks at it anew.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
