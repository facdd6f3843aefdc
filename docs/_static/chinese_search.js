// SPDX-License-Identifier: Apache-2.0
// The search of the Chinese site. Sphinx indexes a page by words, but takes a query without blanks as one word.

// Sphinx 8.2 asks for texts that its Chinese catalogue has in an older form.
Documentation.addTranslations({
  locale: "zh_Hans_CN",
  plural_expr: "0",
  messages: {
    "Search finished, found one page matching the search query.": ["搜索完成，匹配到 ${resultCount} 页。"],
  },
});

// The longest words of the index that a run of Chinese letters consists of. The index has no single letters.
function indexedWords(run) {
  const { terms, titleterms } = Search._index;
  const words = [];
  for (let start = 0, end; start < run.length; start = end) {
    end = run.length;
    while (end > start + 1 && ![terms, titleterms].some((index) => Object.hasOwn(index, run.slice(start, end)))) end--;
    if (end > start + 1) words.push(run.slice(start, end));
  }
  return words.length ? words : [run];
}

// Sphinx's searchtools.js calls this in place of its own.
var splitQuery = (query) =>
  (query.match(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{Letter}\p{Number}_])+/gu) ?? []).flatMap((part) =>
    /\p{Script=Han}/u.test(part) ? indexedWords(part) : part,
  );
