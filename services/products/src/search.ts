import { sql, type Database } from '@saas/state'

const TERMS_MAX = 10
const VARIANT_LENGTH_MIN = 3
const BEGINNINGS_MAX = 50
const ENDINGS_MAX = 20
const CORRECTIONS_MAX = 5

/** What somebody typed, as Postgres takes it: `tsquery` in text form. */
export interface AskedWords {
  /** What must be found: every word, as it is or as one of its variants. */
  readonly query: string
  /** The words as they are, any of them: for ranking. */
  readonly exact: string
  /** `query` for the words of one era, whose number is to be put in for `{era}`, which no word contains. */
  readonly ofEra: string
  /** How many words and variants there are. */
  readonly variants: number
}

const escaped = (word: string) => `replace(replace(${word}, '\\', '\\\\'), '''', '''''')`
const ending = `'%' || replace(replace(replace(term.word, '\\', '\\\\'), '%', '\\%'), '_', '\\_')`

/** Above every similarity: the known word has the letters of what was typed. Then it was meant and no other. */
const SAME_LETTERS = 2

// A word that is short has few trigrams, and a slip in its middle leaves too few of them: those slips are tried by themselves. They
// are two neighbours swapped, a German umlaut written as two letters, and one wrong letter of four.
const likeWords = `
           select search_word.word, ${SAME_LETTERS} as likeness
           from search_word
           where search_word.word = any(array(
             select overlay(term.word placing reverse(substr(term.word, place, 2)) from place)
             from generate_series(1, length(term.word) - 1) as place
             union all
             select regexp_replace(term.word, '([aou])e', '\\1', 'g')
           ))
           union
           select known.word, 1
           from generate_series(1, 4) as place
           cross join lateral (
             select search_word.word
             from search_word
             where search_word.word like overlay(term.word placing '_' from place)
           ) as known
           where term.word ~ '^[[:alpha:]]{4}$'
           union
           (
             select search_word.word, similarity(search_word.word, term.word)
             from search_word
             where search_word.word % term.word
             order by similarity(search_word.word, term.word) desc, search_word.word
             limit ${CORRECTIONS_MAX}
           )`

// Numbers are not known words, so their beginnings are asked of the index itself.
const resolveWords = sql<{ query: string | null; exact: string; of_era: string; variants: number }>(
  'products.resolve_search',
  `with term as materialized (
     select word, length(word) >= ${VARIANT_LENGTH_MIN} as has_variants, word ~ '[0-9]' as is_number
     from unnest(tsvector_to_array(search_words($1))) as word
     limit ${TERMS_MAX}
   ), similar_word as materialized (
     select term.word, known.word as variant
     from term
     cross join lateral (
       (
         select search_word.word
         from search_word
         where search_word.word >= term.word
           and search_word.word < term.word || chr(1114111)
         order by length(search_word.word), search_word.word
         limit ${BEGINNINGS_MAX}
       )
       union
       (
         select search_word.word
         from search_word
         where search_word.word like ${ending}
         order by length(search_word.word), search_word.word
         limit ${ENDINGS_MAX}
       )
     ) as known
     where has_variants
   ), correction as materialized (
     select term.word, known.word as variant
     from term
     cross join lateral (
       select word
       from (
         select word, likeness, max(likeness) over () as best
         from (${likeWords}) as candidate
       ) as compared
       where best < ${SAME_LETTERS} or likeness = ${SAME_LETTERS}
       order by likeness desc, word
       limit ${CORRECTIONS_MAX}
     ) as known
     where has_variants
       and not is_number
       and not exists (select from similar_word where similar_word.word = term.word)
   ), alternative as (
     select word, ${escaped('word')} as lexeme, case when has_variants and is_number then ':*' else '' end as suffix
     from term
     union
     select word, ${escaped('variant')}, ''
     from similar_word
     union
     select word, ${escaped('variant')}, ''
     from correction
   )
   select
     string_agg('(' || alternatives || ')', ' & ') as query,
     string_agg('(' || alternatives_of_era || ')', ' & ') as of_era,
     string_agg('''' || ${escaped('word')} || '''', ' | ') as exact,
     sum(variants)::integer as variants
   from (
     select
       word,
       count(*) as variants,
       string_agg('''' || lexeme || '''' || suffix, ' | ') as alternatives,
       string_agg('''{era}:' || lexeme || '''' || suffix, ' | ') as alternatives_of_era
     from alternative
     group by word
   ) as choice`,
)

/**
 * Turns what somebody typed into words to be found; `undefined` when there is no word in it.
 *
 * A word stands for itself, for the known words that begin or end with it (German writes compounds in one word), or, when
 * there are none, for the known words most like it by trigrams. This is a statement of its own, before the search, so that
 * Postgres plans the search for words whose frequency it knows.
 */
export async function resolveSearch(database: Database, text: string): Promise<AskedWords | undefined> {
  const [row] = await database.read(resolveWords, [text])
  if (row === undefined || row.query === null) return undefined
  const { query, exact, of_era: ofEra, variants } = row
  return { query, exact, ofEra, variants }
}
