import type { JSX } from 'preact'
import { randomFrom } from '../random.ts'

/**
 * A picture for a product that has none, composed from its id: the same product looks the same everywhere and forever.
 * Decorative: the name always stands beside it.
 */
export function Artwork({ seed }: { seed: string }) {
  const random = randomFrom(seed)
  const palette = random.pick(palettes)
  const motif = random.pick(motifs)
  return (
    <svg class="artwork" viewBox="0 0 400 400" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <rect width="400" height="400" fill={palette[0]} />
      {motif(random, palette)}
    </svg>
  )
}

type Random = ReturnType<typeof randomFrom>
/** Ground, then three that stand out from it and each other. */
type Palette = readonly [string, string, string, string]

const palettes: readonly Palette[] = [
  ['#dfe9e2', '#0b4a4f', '#d3f26a', '#f08a5d'],
  ['#f3e2d0', '#b23a48', '#fcb97d', '#2f3e46'],
  ['#d9e4f5', '#22418a', '#f7c948', '#e36588'],
  ['#efe6f4', '#5b3a8c', '#b8e0d2', '#f4845f'],
  ['#f6ecd2', '#3a5a40', '#e9b44c', '#9b2915'],
  ['#d6efee', '#14746f', '#ffd6a5', '#3d348b'],
  ['#f8dedd', '#7a2e4d', '#8fc1b5', '#f2b134'],
  ['#e5e8dc', '#485a2c', '#c8d96f', '#d1603d'],
]

const motifs: readonly ((random: Random, palette: Palette) => JSX.Element)[] = [
  tiles,
  vessel,
  discs,
  petals,
  hills,
  bars,
]

/** Quarter circles in a grid, turned at random. */
function tiles(random: Random, [, ...colours]: Palette) {
  const side = random.pick([100, 133.4])
  const cells: JSX.Element[] = []
  for (let y = 0; y < 399; y += side) {
    for (let x = 0; x < 399; x += side) {
      const turn = random.pick([0, 90, 180, 270])
      const middle = `${x + side / 2} ${y + side / 2}`
      const isDisc = random.next() < 0.18
      const colour = random.pick(colours)
      cells.push(
        isDisc ? (
          <circle cx={x + side / 2} cy={y + side / 2} r={side / 3} fill={colour} />
        ) : (
          // The thin stroke closes the seams between neighbours.
          <path
            d={`M${x} ${y}h${side}a${side} ${side} 0 0 1 -${side} ${side}z`}
            fill={colour}
            stroke={colour}
            transform={`rotate(${turn} ${middle})`}
          />
        ),
      )
    }
  }
  return <g>{cells}</g>
}

/** A symmetrical jar on a table, with a sun or a moon behind it. */
function vessel(random: Random, [, body, light, accent]: Palette) {
  const belly = random.between(70, 115)
  const neck = random.between(22, 48)
  const foot = random.between(38, 70)
  const top = random.between(95, 140)
  const bulge = random.between(215, 270)
  const side = random.pick([-1, 1])
  const outline = (sign: number): string =>
    `C${200 + sign * neck} ${top + 50} ${200 + sign * belly} ${bulge - 60} ${200 + sign * belly} ${bulge} S${200 + sign * foot} 330 ${200 + sign * foot} 335`
  const back = `L${200 - foot} 335 C${200 - foot} 330 ${200 - belly} ${bulge + 60} ${200 - belly} ${bulge} S${200 - neck} ${top + 50} ${200 - neck} ${top} Z`
  return (
    <g>
      <circle
        cx={200 + side * random.between(50, 95)}
        cy={random.between(110, 160)}
        r={random.between(60, 92)}
        fill={light}
      />
      <path d="M0 318h400v82H0z" fill={accent} />
      <path d={`M${200 + neck} ${top} ${outline(1)} ${back}`} fill={body} />
      <rect x={200 - neck - 8} y={top - 14} width={neck * 2 + 16} height="18" rx="9" fill={body} />
      <path
        d={`M${200 - belly + 4} ${bulge}q${belly - 4} ${random.between(16, 34)} ${belly * 2 - 8} 0`}
        stroke={light}
        stroke-width={random.between(6, 14)}
        fill="none"
      />
    </g>
  )
}

/** Rings inside rings, none of them centred. */
function discs(random: Random, [ground, ...colours]: Palette) {
  const rings: JSX.Element[] = []
  let x = random.between(150, 250)
  let y = random.between(150, 250)
  const order = [colours[0], colours[1], ground, colours[2], colours[0], colours[1]]
  for (const [index, radius] of [215, 168, 124, 86, 52, 24].entries()) {
    rings.push(<circle cx={x} cy={y} r={radius} fill={order[index]} />)
    x += random.between(-20, 20)
    y += random.between(-20, 20)
  }
  return <g>{rings}</g>
}

/** One flower that fills the frame. */
function petals(random: Random, [, petal, heart, second]: Palette) {
  const count = random.pick([6, 8, 10, 12])
  const width = random.between(300, 420) / count
  const turn = random.between(0, 40)
  const leaves = Array.from({ length: count }, (_, index) => (
    <ellipse
      cx="200"
      cy="105"
      rx={width}
      ry="88"
      fill={index % 2 === 0 ? petal : second}
      transform={`rotate(${turn + (360 / count) * index} 200 200)`}
    />
  ))
  return (
    <g>
      {leaves}
      <circle cx="200" cy="200" r={random.between(38, 62)} fill={heart} />
    </g>
  )
}

/** Layers of land under a disc. */
function hills(random: Random, [ground, far, sun, near]: Palette) {
  const layer = (height: number, colour: string): JSX.Element => {
    const swing = random.between(25, 70) * random.pick([-1, 1])
    return <path d={`M0 ${height}C130 ${height - swing} 270 ${height + swing} 400 ${height}V400H0z`} fill={colour} />
  }
  return (
    <g>
      <circle cx={random.between(90, 310)} cy={random.between(95, 150)} r={random.between(48, 78)} fill={sun} />
      {layer(random.between(185, 215), near)}
      {layer(random.between(245, 270), far)}
      {layer(random.between(305, 325), ground)}
      {layer(random.between(350, 365), sun)}
    </g>
  )
}

/** Upright rounded bars, like things on a shelf. */
function bars(random: Random, [, ...colours]: Palette) {
  const width = random.pick([44, 58, 76])
  const things: JSX.Element[] = []
  for (let x = 22; x + width <= 385; x += width + 10) {
    const height = random.between(90, 290)
    things.push(
      <rect
        x={x}
        y={340 - height}
        width={width}
        height={height}
        rx={random.pick([6, width / 2])}
        fill={random.pick(colours)}
      />,
    )
  }
  return (
    <g>
      {things}
      <rect y="340" width="400" height="10" fill={colours[0]} />
    </g>
  )
}
