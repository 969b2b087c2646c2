// The whole of a list that comes in pages. Internal to the client.
#pragma once

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attn::client {

// The `items` of every page; `list` gets one by its token. Errors: its own;
// INTERNAL for a server that gives the same page again.
template <typename List, typename Page, typename Item>
absl::StatusOr<std::vector<Item>> AllPages(List list,
                                           std::vector<Item> Page::*items) {
  std::vector<Item> all;
  std::string token;
  do {
    absl::StatusOr<Page> page = list(token);
    if (!page.ok()) {
      return page.status();
    }
    if (!token.empty() && page->next_page_token == token) {
      return absl::InternalError("the server repeats a page of its list");
    }
    std::vector<Item>& found = (*page).*items;
    all.insert(all.end(), std::make_move_iterator(found.begin()),
               std::make_move_iterator(found.end()));
    token = std::move(page->next_page_token);
  } while (!token.empty());
  return all;
}

}  // namespace attn::client
