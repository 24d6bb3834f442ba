#pragma once
// Marks what libtutti exports: everything else in it is hidden. A standard attribute, so that it
// may stand beside [[nodiscard]].

#define TUTTI_EXPORT [[gnu::visibility("default")]]
