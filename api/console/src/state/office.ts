import { computed, inject, provide, ref, shallowRef, watch, type InjectionKey } from 'vue'
import type { Alert, Area, AreaReadiness, DangerDay, Device, Hotspot, Incident, Order, SeasonDay, Status, Team, Warning } from '../api'
import { gather, useEvents } from './events'
import { below } from '../lib/targets'
import { usePoll } from './poll'
import { useSession } from './session'

/** What satellites saw longer ago is no news. */
export const hotspotHours = 48

/**
 * makeOffice is all that the office's screen knows: fetched whole, and fetched
 * again when an event says so, and every now and then even when none does.
 */
function makeOffice() {
  const { api, me, demo } = useSession()
  const events = useEvents(api.eventsUrl)

  const status = shallowRef<Status | null>(null)
  const areas = shallowRef<Area[]>([])
  const teams = shallowRef<Team[]>([])
  const devices = shallowRef<Device[]>([])
  const alerts = shallowRef<Alert[]>([])
  const orders = shallowRef<Order[]>([])
  const warnings = shallowRef<Warning[]>([])
  const seasons = shallowRef<SeasonDay[]>([])
  const incidents = shallowRef<Incident[]>([])
  const readiness = shallowRef<AreaReadiness[]>([])
  const hotspots = shallowRef<Hotspot[]>([])
  const danger = shallowRef<DangerDay[]>([])
  const selectedAlert = ref('')
  const selectedOrder = ref('')
  const selectedDevice = ref('')
  const order = shallowRef<Order | null>(null)
  const orderError = ref('')

  const statusPoll = usePoll(10_000, async () => {
    status.value = await api.status()
    demo.value = status.value.demo
  })
  const rosterPoll = usePoll(600_000, async () => {
    ;[areas.value, teams.value] = await Promise.all([api.areas(), api.teams()])
  })
  const devicePoll = usePoll(5_000, async () => {
    devices.value = await api.devices()
  })
  const alertPoll = usePoll(30_000, async () => {
    const [firing, recent] = await Promise.all([
      api.alerts({ state: 'firing', limit: 500 }), api.alerts({ limit: 100 }),
    ])
    const seen = new Set(firing.items.map((a) => a.id))
    alerts.value = [...firing.items, ...recent.items.filter((a) => !seen.has(a.id))]
  })
  const incidentPoll = usePoll(30_000, async () => {
    const [open, recent] = await Promise.all([api.incidents({ open: true, limit: 500 }), api.incidents({ limit: 100 })])
    const seen = new Set(open.items.map((i) => i.id))
    incidents.value = [...open.items, ...recent.items.filter((i) => !seen.has(i.id))]
  })
  const readinessPoll = usePoll(60_000, async () => {
    readiness.value = await api.readiness()
  })
  const hotspotPoll = usePoll(300_000, async () => {
    hotspots.value = await api.hotspots(new Date(Date.now() - hotspotHours * 3600_000))
  })
  // Every area with its stations is a large answer: only who looks at the layer asks.
  const dangerWanted = ref(false)
  const dangerPoll = usePoll(600_000, async () => {
    if (dangerWanted.value) danger.value = await api.danger()
  })
  watch(dangerWanted, () => void dangerPoll.refresh())
  const orderPoll = usePoll(30_000, async () => {
    const [open, recent] = await Promise.all([
      api.orders({ status: 'open', limit: 200 }), api.orders({ limit: 50 }),
    ])
    const seen = new Set(open.items.map((o) => o.id))
    orders.value = [...open.items, ...recent.items.filter((o) => !seen.has(o.id))]
      .sort((a, b) => b.issued.localeCompare(a.issued))
  })
  const warningPoll = usePoll(60_000, async () => {
    warnings.value = (await api.warnings()).items
  })
  const seasonPoll = usePoll(1_800_000, async () => {
    seasons.value = await api.seasons()
  })

  // The order on the board. An answer that comes after another was chosen is dropped.
  async function loadOrder(): Promise<void> {
    const id = selectedOrder.value
    if (id === '') return
    try {
      const loaded = await api.order(id)
      if (selectedOrder.value !== id) return
      order.value = loaded
      orderError.value = ''
      orders.value = orders.value.map((o) => (o.id === id ? { ...loaded, deliveries: undefined, attempts: undefined } : o))
    } catch (cause) {
      if (selectedOrder.value === id) orderError.value = (cause as Error).message
    }
  }
  watch(selectedOrder, () => {
    order.value = null
    orderError.value = ''
    void loadOrder()
  })
  const boardPoll = usePoll(15_000, loadOrder)

  const alertsSoon = gather(alertPoll.refresh)
  const ordersSoon = gather(orderPoll.refresh, 600)
  const boardSoon = gather(boardPoll.refresh, 200)
  const rosterSoon = gather(rosterPoll.refresh, 1000)
  events.on('alert', alertsSoon)
  events.on('order', (s) => {
    ordersSoon()
    if (s.id === selectedOrder.value) boardSoon()
  })
  events.on('delivery', (s) => {
    ordersSoon()
    if (s.order === selectedOrder.value) boardSoon()
  })
  events.on('incident', gather(incidentPoll.refresh))
  const silenceChanges = ref(0)
  events.on('silence', () => {
    silenceChanges.value++
    alertsSoon()
  })
  events.on('readiness', gather(readinessPoll.refresh))
  events.on('danger', gather(dangerPoll.refresh, 2000))
  events.on('hotspot', gather(hotspotPoll.refresh, 1000))
  events.on('warning', gather(warningPoll.refresh))
  events.on('season', gather(seasonPoll.refresh))
  events.on('roster', rosterSoon)
  let opened = false
  events.onOpen(() => {
    if (opened) {
      for (const p of [alertPoll, incidentPoll, orderPoll, boardPoll, readinessPoll, warningPoll, statusPoll]) void p.refresh()
    }
    opened = true
  })

  const areaByCode = computed(() => new Map(areas.value.map((a) => [a.code, a])))
  /** The county (or wider) that an area lies in, and its name. */
  function countyOf(code: string): Area | undefined {
    let a = areaByCode.value.get(code)
    for (let n = 0; a?.level === 'township' && n < 8; n++) a = areaByCode.value.get(a.parent)
    return a
  }
  // The areas that the account may order in; everybody sees the outlines of all.
  const scope = computed(() => {
    const top = me.value?.area ?? ''
    if (!areaByCode.value.has(top)) return areas.value
    const codes = below(areas.value, top)
    return areas.value.filter((a) => codes.has(a.code))
  })
  const deviceById = computed(() => new Map(devices.value.map((d) => [d.id, d])))
  const alertById = computed(() => new Map(alerts.value.map((a) => [a.id, a])))
  const incidentById = computed(() => new Map(incidents.value.map((i) => [i.id, i])))

  return {
    api, events, status, areas, teams, devices, alerts, orders, warnings, seasons, incidents, readiness, hotspots, danger, dangerWanted, silenceChanges,
    selectedAlert, selectedOrder, selectedDevice, order, orderError,
    areaByCode, scope, countyOf, deviceById, alertById, incidentById, loadOrder: boardPoll.refresh,
    polls: {
      status: statusPoll, roster: rosterPoll, devices: devicePoll, alerts: alertPoll, orders: orderPoll, warnings: warningPoll, seasons: seasonPoll,
      incidents: incidentPoll, readiness: readinessPoll, hotspots: hotspotPoll, danger: dangerPoll,
    },
  }
}

export type Office = ReturnType<typeof makeOffice>

const key: InjectionKey<Office> = Symbol('office')

export function provideOffice(): Office {
  const office = makeOffice()
  provide(key, office)
  return office
}

export function useOffice(): Office {
  const office = inject(key)
  if (!office) throw new Error('no office is provided')
  return office
}
