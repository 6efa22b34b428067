// The map: areas, names, devices. Everything it draws comes from the API or is
// drawn here; nothing is loaded from elsewhere.
import { Map as MapLibre, Marker, setWorkerUrl, type ExpressionSpecification, type GeoJSONSource, type LngLatBoundsLike, type MapMouseEvent } from 'maplibre-gl'
import 'maplibre-gl/dist/maplibre-gl.css'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import type { Area, Hotspot, Track } from '../api'
import { dangerColours, type DangerShape } from './danger'
import { devicePicture, hatchPicture, hotspotColour, hotspotPicture, labelPicture, livenesses } from './draw'
import type { FleetData } from './fleet'

setWorkerUrl(workerUrl)

const empty: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] }
const baoding: LngLatBoundsLike = [[113.6, 38.2], [116.4, 40.0]]

export interface Pulse { id: string; lon: number; lat: number; severity: string; label: string; chosen: boolean; incident: boolean; confirmed: boolean }
/** What lies under the pointer: a device before a hotspot, and that before the ground. */
export interface Pick { device: string; hotspot: string; area: string }

export class WatchMap {
  readonly map: MapLibre
  private ready: Promise<void>
  private bounds: LngLatBoundsLike = baoding
  private names: Marker[] = []
  private pulses = new Map<string, { marker: Marker; button: HTMLButtonElement }>()
  private drawnNames = new Set<string>()
  private writing = false
  private next: FleetData | null = null

  constructor(container: HTMLElement, title: string, still: boolean) {
    this.map = new MapLibre({
      container,
      style: { version: 8, sources: {}, layers: [{ id: 'ground', type: 'background', paint: { 'background-color': '#0e151c' } }] },
      bounds: baoding,
      fitBoundsOptions: { padding: 24 },
      minZoom: 5,
      maxZoom: 17,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      fadeDuration: still ? 0 : 150,
      locale: { 'Map.Title': title },
      renderWorldCopies: false,
    })
    this.map.touchZoomRotate.disableRotation()
    this.map.keyboard.disableRotation()
    // The first frames of a lazily laid out page can have the wrong size.
    this.ready = new Promise<void>((resolve) => this.map.once('load', () => resolve())).then(() => this.setUp())
  }

  private setUp(): void {
    const { map } = this
    for (const kind of ['tracker', 'sensor'] as const) {
      for (const liveness of livenesses) {
        const p = devicePicture(kind, liveness)
        map.addImage(`${kind}-${liveness}`, p.image, { pixelRatio: p.pixelRatio })
      }
      const p = devicePicture(kind, 'online', true)
      map.addImage(`${kind}-chosen`, p.image, { pixelRatio: p.pixelRatio })
    }
    for (const kind of ['unknown', 'marked'] as const) {
      const p = hatchPicture(kind)
      map.addImage(`hatch-${kind}`, p.image, { pixelRatio: p.pixelRatio })
    }
    for (const kind of Object.keys(hotspotColour) as (keyof typeof hotspotColour)[]) {
      const p = hotspotPicture(kind)
      map.addImage(`hotspot-${kind}`, p.image, { pixelRatio: p.pixelRatio })
    }
    for (const id of ['areas', 'danger', 'labels', 'hotspots', 'devices', 'chosen']) map.addSource(id, { type: 'geojson', data: empty })
    const county: ExpressionSpecification = ['==', ['get', 'level'], 'county']
    const township: ExpressionSpecification = ['==', ['get', 'level'], 'township']
    map.addLayer({ id: 'county-fill', type: 'fill', source: 'areas', filter: county, paint: { 'fill-color': '#1a2a33' } })
    const level: ExpressionSpecification = ['get', 'level']
    map.addLayer({
      id: 'danger', type: 'fill', source: 'danger',
      paint: { 'fill-color': ['match', level, 1, dangerColours[1]!, 2, dangerColours[2]!, 3, dangerColours[3]!, 4, dangerColours[4]!, 5, dangerColours[5]!, dangerColours[0]!], 'fill-opacity': ['match', level, 0, 0.35, 0.7] },
    })
    map.addLayer({ id: 'danger-unknown', type: 'fill', source: 'danger', filter: ['==', level, 0], paint: { 'fill-pattern': 'hatch-unknown', 'fill-opacity': 0.55 } })
    map.addLayer({ id: 'danger-marked', type: 'fill', source: 'danger', filter: ['get', 'marked'], paint: { 'fill-pattern': 'hatch-marked', 'fill-opacity': 0.5 } })
    map.addLayer({
      id: 'township-line', type: 'line', source: 'areas', filter: township,
      paint: { 'line-color': '#4a6172', 'line-width': 0.8, 'line-dasharray': [3, 2], 'line-opacity': ['interpolate', ['linear'], ['zoom'], 7.5, 0.45, 9.5, 1] },
    })
    map.addLayer({ id: 'county-line', type: 'line', source: 'areas', filter: county, paint: { 'line-color': '#8fa9bb', 'line-width': 1.6 } })
    map.addLayer({ id: 'danger-chosen', type: 'line', source: 'danger', filter: ['==', ['get', 'code'], ''], paint: { 'line-color': '#fff', 'line-width': 2.5 } })
    map.addLayer({
      id: 'township-name', type: 'symbol', source: 'labels', minzoom: 9.2,
      layout: { 'icon-image': ['get', 'icon'], 'icon-padding': 4 },
    })
    map.addLayer({
      id: 'hotspots', type: 'symbol', source: 'hotspots',
      layout: {
        'icon-image': ['concat', 'hotspot-', ['get', 'kind']], 'icon-allow-overlap': true, 'icon-ignore-placement': true,
        'icon-size': ['interpolate', ['linear'], ['zoom'], 7, 0.8, 10, 1.2],
        'symbol-sort-key': ['match', ['get', 'kind'], 'masked', 0, 1],
      },
    })
    map.addLayer({
      id: 'devices', type: 'symbol', source: 'devices',
      layout: {
        'icon-image': ['get', 'icon'], 'icon-allow-overlap': true, 'icon-ignore-placement': true,
        'icon-size': ['interpolate', ['linear'], ['zoom'], 7, 0.6, 9, 0.8, 12, 1.3],
        // What is wrong lies on top.
        'symbol-sort-key': ['match', ['get', 'liveness'], 'silent', 3, 'late', 2, 'online', 1, 0],
      },
    })
    map.addLayer({
      id: 'chosen', type: 'symbol', source: 'chosen',
      layout: { 'icon-image': ['concat', ['get', 'kind'], '-chosen'], 'icon-allow-overlap': true, 'icon-ignore-placement': true },
    })
  }

  private source(id: string): GeoJSONSource {
    return this.map.getSource(id) as GeoJSONSource
  }

  /** Draw the areas; the whole map is the scope, the part that the account answers for. */
  async setAreas(areas: Area[], scope: Area[]): Promise<void> {
    await this.ready
    const outlined = areas.filter((a) => a.outline)
    await this.source('areas').setData({
      type: 'FeatureCollection',
      features: outlined.map((a) => ({ type: 'Feature', geometry: a.outline!, properties: { level: a.level } })),
    })
    for (const m of this.names) m.remove()
    this.names = areas.filter((a) => a.level === 'county').map((a) => {
      const el = document.createElement('span')
      el.className = 'county-name'
      el.textContent = a.name
      return new Marker({ element: el, anchor: 'center' }).setLngLat([a.lon, a.lat]).addTo(this.map)
    })
    const townships = areas.filter((a) => a.level === 'township')
    for (const a of townships) {
      const icon = `name-${a.name}`
      if (this.drawnNames.has(icon)) continue
      this.drawnNames.add(icon)
      const p = labelPicture(a.name)
      this.map.addImage(icon, p.image, { pixelRatio: p.pixelRatio })
    }
    void this.source('labels').setData({
      type: 'FeatureCollection',
      features: townships.map((a) => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [a.lon, a.lat] }, properties: { icon: `name-${a.name}` } })),
    })
    const box = boundsOf(scope)
    if (box) {
      this.bounds = box
      this.home(true)
    }
  }

  /** Draw the devices; while one drawing is under way only the newest wish is kept. */
  async setDevices(data: FleetData): Promise<void> {
    await this.ready
    this.next = data
    if (this.writing) return
    this.writing = true
    while (this.next) {
      const now = this.next
      this.next = null
      await this.source('devices').setData(now)
    }
    this.writing = false
  }

  async setChosen(at: [number, number] | undefined, kind: string): Promise<void> {
    await this.ready
    void this.source('chosen').setData(at
      ? { type: 'Feature', geometry: { type: 'Point', coordinates: at }, properties: { kind } }
      : empty)
  }

  /** Colour the townships by their fire danger; null: not at all. */
  async setDanger(shapes: GeoJSON.FeatureCollection<GeoJSON.Geometry, DangerShape> | null, chosen: string): Promise<void> {
    await this.ready
    void this.source('danger').setData(shapes ?? empty)
    this.map.setFilter('danger-chosen', ['==', ['get', 'code'], chosen])
    // Lines that lie on colours have to be dark.
    this.map.setPaintProperty('township-line', 'line-color', shapes ? '#0e151c' : '#4a6172')
  }

  async setHotspots(hotspots: Hotspot[]): Promise<void> {
    await this.ready
    void this.source('hotspots').setData({
      type: 'FeatureCollection',
      features: hotspots.map((h) => ({
        type: 'Feature', geometry: { type: 'Point', coordinates: [h.lon, h.lat] }, properties: { id: h.id, kind: h.masked ? 'masked' : h.confidence },
      })),
    })
  }

  /** Draw where one device was: lines, where each line ends, and SOS and reports. */
  async setTrack(track: Track, fit: boolean): Promise<void> {
    await this.ready
    const { map } = this
    if (!map.getSource('track')) {
      for (const id of ['track', 'track-ends', 'track-marks']) map.addSource(id, { type: 'geojson', data: empty })
      map.addLayer({
        id: 'track', type: 'line', source: 'track', layout: { 'line-join': 'round', 'line-cap': 'round' }, paint: { 'line-color': '#ffb74d', 'line-width': 2.5 },
      })
      const last: ExpressionSpecification = ['boolean', ['get', 'last'], false]
      const first: ExpressionSpecification = ['boolean', ['get', 'first'], false]
      map.addLayer({
        id: 'track-ends', type: 'circle', source: 'track-ends',
        paint: {
          'circle-radius': ['case', last, 6, first, 5, 3], 'circle-color': ['case', last, '#ffb74d', '#0e151c'], 'circle-stroke-color': '#ffb74d', 'circle-stroke-width': 2,
        },
      })
      map.addLayer({ id: 'track-marks', type: 'circle', source: 'track-marks', paint: { 'circle-radius': 6, 'circle-color': ['match', ['get', 'class'], 'sos', '#ff4238', '#4c94ee'], 'circle-stroke-color': '#fff', 'circle-stroke-width': 2 } })
    }
    const lines = track.geometry.coordinates
    const ends = lines.flatMap((line, i) => [
      { at: line[0]!, first: i === 0, last: false },
      { at: line.at(-1)!, first: false, last: i === lines.length - 1 },
    ])
    const point = (at: number[], properties: Record<string, unknown>): GeoJSON.Feature => ({ type: 'Feature', geometry: { type: 'Point', coordinates: at }, properties })
    await Promise.all([
      this.source('track').setData(track as GeoJSON.Feature),
      this.source('track-ends').setData({ type: 'FeatureCollection', features: ends.map((e) => point(e.at, { first: e.first, last: e.last })) }),
      this.source('track-marks').setData({
        type: 'FeatureCollection',
        features: track.properties.marks.filter((m) => m.lon !== null).map((m) => point([m.lon!, m.lat!], { class: m.class })),
      }),
    ])
    if (!fit || lines.length === 0) return
    let box: [number, number, number, number] = [180, 90, -180, -90]
    for (const [lon = 0, lat = 0] of lines.flat()) box = [Math.min(box[0], lon), Math.min(box[1], lat), Math.max(box[2], lon), Math.max(box[3], lat)]
    map.fitBounds(box, { padding: 36, maxZoom: 15, animate: false })
  }

  setPulses(pulses: Pulse[], pick: (id: string) => void): void {
    const wanted = new Set(pulses.map((p) => p.id))
    for (const [id, { marker }] of this.pulses) {
      if (!wanted.has(id)) {
        marker.remove()
        this.pulses.delete(id)
      }
    }
    for (const p of pulses) {
      let held = this.pulses.get(p.id)
      if (!held) {
        const button = document.createElement('button')
        button.addEventListener('click', (e) => {
          e.stopPropagation()
          pick(p.id)
        })
        held = { button, marker: new Marker({ element: button }).setLngLat([p.lon, p.lat]).addTo(this.map) }
        this.pulses.set(p.id, held)
      }
      held.marker.setLngLat([p.lon, p.lat])
      held.button.setAttribute('aria-label', p.label)
      held.button.title = p.label
      for (const s of ['red', 'orange', 'yellow', 'blue', 'notice']) held.button.classList.toggle(`pulse-${s}`, s === p.severity)
      held.button.classList.add('pulse')
      held.button.classList.toggle('chosen', p.chosen)
      held.button.classList.toggle('incident', p.incident)
      held.button.classList.toggle('confirmed', p.confirmed)
      held.button.dataset.mark = p.incident ? 'incident' : 'alert'
    }
  }

  /** What lies at the place of a click; of points the nearest one within a finger's breadth. */
  onPick(pick: (at: Pick) => void): void {
    this.map.on('click', (e: MapMouseEvent) => {
      if (this.map.getLayer('devices')) pick(this.under(e))
    })
  }

  /** The township under the pointer, where the ground is coloured; empty: none. */
  onHover(hover: (area: string, x: number, y: number) => void): void {
    let last = ''
    this.map.on('mousemove', (e: MapMouseEvent) => {
      const area = this.areaAt(e)
      if (area === '' && last === '') return
      last = area
      hover(area, e.point.x, e.point.y)
    })
    this.map.on('mouseout', () => {
      last = ''
      hover('', 0, 0)
    })
  }

  private areaAt(e: MapMouseEvent): string {
    if (!this.map.getLayer('danger')) return ''
    return String(this.map.queryRenderedFeatures(e.point, { layers: ['danger'] })[0]?.properties.code ?? '')
  }

  private under(e: MapMouseEvent): Pick {
    // Where the ground tells something too, a device is met more exactly.
    const reach = this.areaAt(e) === '' ? 8 : 5
    const nearest = (layer: string): string => {
      const { x, y } = e.point
      let best = ''
      let least = Infinity
      for (const h of this.map.queryRenderedFeatures([[x - reach, y - reach], [x + reach, y + reach]], { layers: [layer] })) {
        const at = this.map.project((h.geometry as GeoJSON.Point).coordinates as [number, number])
        const d = (at.x - x) ** 2 + (at.y - y) ** 2
        if (d < least) {
          least = d
          best = String(h.properties.id)
        }
      }
      return best
    }
    const device = nearest('devices')
    const hotspot = device === '' ? nearest('hotspots') : ''
    return { device, hotspot, area: device === '' && hotspot === '' ? this.areaAt(e) : '' }
  }

  home(jump = false): void {
    this.map.fitBounds(this.bounds, { padding: 28, animate: !jump })
  }

  /** Bring a place into sight, without zooming out. */
  show(at: [number, number]): void {
    this.map.easeTo({ center: at, zoom: Math.max(this.map.getZoom(), 9.8), duration: 600 })
  }

  zoom(by: number): void {
    this.map.easeTo({ zoom: this.map.getZoom() + by, duration: 250 })
  }

  remove(): void {
    this.map.remove()
  }
}

function boundsOf(areas: Area[]): LngLatBoundsLike | null {
  let [w, s, e, n] = [180, 90, -180, -90]
  const take = (lon: number, lat: number) => {
    w = Math.min(w, lon)
    e = Math.max(e, lon)
    s = Math.min(s, lat)
    n = Math.max(n, lat)
  }
  const walk = (c: unknown): void => {
    if (!Array.isArray(c)) return
    if (typeof c[0] === 'number') take(c[0], c[1] as number)
    else for (const x of c) walk(x)
  }
  for (const { outline } of areas) if (outline && 'coordinates' in outline) walk(outline.coordinates)
  if (w > e) for (const a of areas) if (a.lat || a.lon) take(a.lon, a.lat)
  return w > e ? null : [[w, s], [e, n]]
}
