import { useSignal } from '@preact/signals'
import { texts } from '../language.ts'

const ZOOM_MAX = 4
/** As the styles have it. */
const BOX_PIXELS = 160

/** The square of the upright picture that is to be used, as the contract has it. */
export interface Crop {
  readonly left: number
  readonly top: number
  readonly size: number
}

/** Chooses a square of a picture: how near, and which part. Three sliders, so that keys and touch do as well as a mouse. */
export function CropChoice({ url, choose }: { url: string; choose: (crop: Crop) => void }) {
  const { account } = texts.value
  const picture = useSignal({ width: 0, height: 0 })
  const place = useSignal({ zoom: 1, across: 0.5, down: 0.5 })
  const crop = cropOf(picture.value, place.value)
  const scale = BOX_PIXELS / Math.max(1, crop.size)
  const change = (changed: Partial<typeof place.value>): void => {
    place.value = { ...place.value, ...changed }
    choose(cropOf(picture.value, place.value))
  }
  const load = ({ naturalWidth: width, naturalHeight: height }: HTMLImageElement): void => {
    picture.value = { width, height }
    choose(cropOf(picture.value, place.value))
  }
  const { width, height } = picture.value
  const slider = (label: string, max: number, value: number, move: (to: number) => void, min = 0) => (
    <label class="slider">
      <span>{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step="0.01"
        value={value}
        onInput={(event) => move(event.currentTarget.valueAsNumber)}
      />
    </label>
  )
  return (
    <div class="crop">
      <div class="avatar crop-box">
        <img
          src={url}
          alt={account.preview}
          style={{
            width: width === 0 ? '100%' : `${width * scale}px`,
            height: height === 0 ? '100%' : `${height * scale}px`,
            transform: `translate(${-crop.left * scale}px, ${-crop.top * scale}px)`,
          }}
          onLoad={(event) => load(event.currentTarget)}
        />
      </div>
      <div class="sliders">
        {slider(account.zoom, ZOOM_MAX, place.value.zoom, (zoom) => change({ zoom }), 1)}
        {slider(account.across, 1, place.value.across, (across) => change({ across }))}
        {slider(account.down, 1, place.value.down, (down) => change({ down }))}
      </div>
    </div>
  )
}

function cropOf(
  { width, height }: { readonly width: number; readonly height: number },
  { zoom, across, down }: { readonly zoom: number; readonly across: number; readonly down: number },
): Crop {
  const size = Math.max(1, Math.floor(Math.min(width, height) / zoom))
  return { left: Math.floor((width - size) * across), top: Math.floor((height - size) * down), size }
}
