import { sql, type Database } from '@saas/state'
import { composed } from './product-text.ts'

const TERMS_MAX = 10
const VARIANT_LENGTH_MIN = 3
/** Fewer letters before a digit say nothing by themselves: "a4". */
const LETTERS_MIN = 2
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

const quoted = (word: string) => `'''' || replace(replace(${word}, '\\', '\\\\'), '''', '''''') || ''''`
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

// Of words with digits only their beginnings are known, letters and one digit ("model7"): there is one for every SKU. A known beginning, and
// a number that was typed, are looked for as beginnings in the index itself. What is written as "usb 3" in one place is "usb3" in another.
const resolveWords = sql<{ query: string | null; exact: string; of_era: string; variants: number }>(
  'products.resolve_search',
  `with term as materialized (
     select
       lexeme as word,
       positions,
       length(lexeme) >= ${VARIANT_LENGTH_MIN} as has_variants,
       lexeme ~ '[0-9]' as is_number
     from unnest(search_words($1))
     order by positions[1]
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
         where word !~ '[0-9]'
       ) as compared
       where best < ${SAME_LETTERS} or likeness = ${SAME_LETTERS}
       order by likeness desc, word
       limit ${CORRECTIONS_MAX}
     ) as known
     where has_variants
       and not is_number
       and not exists (select from similar_word where similar_word.word = term.word)
   ), numbered as materialized (
     select meant.word, known.word as variant
     from (
       select word, word as letters
       from term
       where not is_number
         and length(word) >= ${LETTERS_MIN}
       union
       select word, variant
       from correction
     ) as meant
     cross join lateral (
       select search_word.word
       from search_word
       where search_word.word = any(array(select meant.letters || digit from generate_series(0, 9) as digit))
     ) as known
   ), lexeme as (
     select word, word as text, has_variants and is_number as is_beginning
     from term
     union
     select word, variant, variant ~ '[0-9]'
     from (table similar_word union table correction union table numbered) as known
     union
     select digits.word, letters.word || digits.word, true
     from term as letters
     join term as digits on letters.positions[1] + 1 = any(digits.positions)
     where digits.word ~ '^[0-9]'
       and not letters.is_number
       and length(letters.word) >= ${LETTERS_MIN}
   ), alternative as (
     select
       word,
       ${quoted('text')} || suffix as text,
       ${quoted(`('{era}:' || text)`)} || suffix as of_era
     from lexeme
     cross join lateral (select case when is_beginning then ':*' else '' end as suffix) as looked_for
     union all
     select
       word,
       '(' || string_agg(${quoted('parts[1]')}, ' & ') || ')',
       '(' || string_agg(${quoted(`('{era}:' || parts[1])`)}, ' & ') || ')'
     from term
     cross join lateral regexp_matches(word, '[0-9]+|[^0-9]+', 'g') as found (parts)
     where word ~ '^[^0-9]{${LETTERS_MIN},}[0-9]+[^0-9]*$'
     group by word
   )
   select
     string_agg('(' || alternatives || ')', ' & ') as query,
     string_agg('(' || alternatives_of_era || ')', ' & ') as of_era,
     string_agg(${quoted('word')}, ' | ') as exact,
     sum(variants)::integer as variants
   from (
     select
       word,
       count(*) as variants,
       string_agg(text, ' | ') as alternatives,
       string_agg(of_era, ' | ') as alternatives_of_era
     from alternative
     group by word
   ) as choice`,
)

/**
 * Turns what somebody typed into words to be found; `undefined` when there is no word in it.
 *
 * A word stands for itself, for the known words that begin or end with it (German writes compounds in one word), for it with digits behind
 * it ("usb" finds "USB3"), or, when there are none, for the known words most like it by trigrams. Letters and digits are found in one
 * word and in two. This is a statement of its own, before the search, so that
 * Postgres plans the search for words whose frequency it knows.
 */
export async function resolveSearch(database: Database, text: string): Promise<AskedWords | undefined> {
  const [row] = await database.read(resolveWords, [composed(text)])
  if (row === undefined || row.query === null) return undefined
  const { query, exact, of_era: ofEra, variants } = row
  return { query, exact, ofEra, variants }
}
