//! Everything that is tested through the library's and the program's outside, a file per part.

mod recommend;
