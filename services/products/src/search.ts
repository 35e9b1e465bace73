const TERMS_MAX = 10
const VARIANT_LENGTH_MIN = 3
const ENDINGS_MAX = 20
const CORRECTIONS_MAX = 5

const quoted = (word: string) => `'''' || replace(replace(${word}, '\\', '\\\\'), '''', '''''') || ''''`

/**
 * The common table expression `asked (query, exact)` for the search words in parameter `$<text>`.
 *
 * Every word must be found: as it is, as a beginning, as an ending (German writes compounds in one word), or, when no known
 * word begins or ends like it, as one of the known words most like it by trigrams. The trigram index is on the known
 * words and not on the products: there are few of them, so a mistyped search costs no more with many products.
 * `exact` is for ranking: words found as they are count most.
 */
export function askedQuery(text: string): string {
  return `term as materialized (
     select word
     from unnest(tsvector_to_array(search_words(${text}))) as word
     limit ${TERMS_MAX}
   ), ending as materialized (
     select term.word, known.word as variant
     from term
     cross join lateral (
       select word
       from search_word
       where length(term.word) >= ${VARIANT_LENGTH_MIN}
         and search_word.word like '%' || replace(replace(replace(term.word, '\\', '\\\\'), '%', '\\%'), '_', '\\_')
       order by length(word), word
       limit ${ENDINGS_MAX}
     ) as known
   ), correction as materialized (
     select term.word, known.word as variant
     from term
     cross join lateral (
       select word
       from search_word
       where length(term.word) >= ${VARIANT_LENGTH_MIN}
         and term.word !~ '[0-9]'
         and search_word.word % term.word
       order by similarity(search_word.word, term.word) desc, word
       limit ${CORRECTIONS_MAX}
     ) as known
     where not exists (select from ending where ending.word = term.word)
       and not exists (
         select
         from search_word
         where search_word.word >= term.word
           and search_word.word < term.word || chr(1114111)
       )
   ), alternative as (
     select word, ${quoted('word')} || case when length(word) >= ${VARIANT_LENGTH_MIN} then ':*' else '' end as query
     from term
     union all
     select word, ${quoted('variant')}
     from ending
     union all
     select word, ${quoted('variant')}
     from correction
   ), asked as materialized (
     select string_agg('(' || alternatives || ')', ' & ')::tsquery as query,
       string_agg(${quoted('word')}, ' | ')::tsquery as exact
     from (select word, string_agg(query, ' | ') as alternatives from alternative group by word) as choice
   )`
}

const INEXACT_DIVISOR = 10

/** How well a product with these `words` fits, as a double so that a cursor carries it exactly. */
export const relevance = `(ts_rank(words, exact) + ts_rank(words, query) / ${INEXACT_DIVISOR})::double precision`
