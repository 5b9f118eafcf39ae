// The one include of Catch2 in this project: Debian 12 ships 2.13, later ones ship 3. Use what both share.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
