// A made-up prefecture for developing and testing the console without the
// server: nine counties, 118 townships, 128 teams, devices that move, alerts.

export const counties = [
  ['130607', '满城区', 115.3, 38.97, 12], ['130609', '徐水区', 115.6, 39.05, 13], ['130623', '涞水县', 115.6, 39.5, 15],
  ['130624', '阜平县', 114.2, 38.85, 13], ['130627', '唐县', 114.8, 38.85, 15], ['130630', '涞源县', 114.65, 39.35, 12],
  ['130631', '曲阳县', 114.6, 38.6, 13], ['130633', '易县', 115.25, 39.35, 17], ['130636', '顺平县', 115.05, 38.85, 8],
]
const stems = ['桥头', '河口', '石门', '大台', '南庄', '北城', '东团', '西山', '龙门', '白石', '银坊', '王快', '平阳', '走马驿', '坡仓', '甘河净', '安格庄']

// Randomness that is the same at every start.
export function seeded(seed) {
  let s = seed >>> 0
  return () => {
    s = (s + 0x6d2b79f5) >>> 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

// The part of a convex ring that is nearer to p than to q.
function nearer(ring, p, q) {
  const mid = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2]
  const side = ([x, y]) => (x - mid[0]) * (q[0] - p[0]) + (y - mid[1]) * (q[1] - p[1])
  const out = []
  for (let i = 0; i < ring.length; i++) {
    const [a, b] = [ring[i], ring[(i + 1) % ring.length]]
    const [sa, sb] = [side(a), side(b)]
    if (sa <= 0) out.push(a)
    if ((sa < 0 && sb > 0) || (sa > 0 && sb < 0)) {
      const f = sa / (sa - sb)
      out.push([a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f])
    }
  }
  return out
}

const polygon = (ring) => ({ type: 'Polygon', coordinates: [[...ring, ring[0]]] })

export function makeAreas() {
  const rnd = seeded(7)
  const areas = [{ code: '1306', name: '保定市', level: 'city', parent: '', lat: 38.87, lon: 115.46, surveyed: true }]
  const box = [[113.75, 38.35], [115.9, 38.35], [115.9, 39.75], [113.75, 39.75]]
  for (const [code, name, lon, lat, n] of counties) {
    let ring = box
    for (const other of counties) if (other[0] !== code) ring = nearer(ring, [lon, lat], [other[2], other[3]])
    areas.push({ code, name, level: 'county', parent: '1306', lat, lon, surveyed: true, outline: polygon(ring) })
    const seats = []
    const xs = ring.map((p) => p[0])
    const ys = ring.map((p) => p[1])
    while (seats.length < n) {
      const p = [Math.min(...xs) + rnd() * (Math.max(...xs) - Math.min(...xs)), Math.min(...ys) + rnd() * (Math.max(...ys) - Math.min(...ys))]
      const inside = counties.every((o) => Math.hypot(p[0] - o[2], p[1] - o[3]) >= Math.hypot(p[0] - lon, p[1] - lat))
      if (inside && seats.every((s) => Math.hypot(s[0] - p[0], s[1] - p[1]) > 0.06)) seats.push(p)
    }
    seats.forEach((p, i) => {
      let part = ring
      for (const q of seats) if (q !== p) part = nearer(part, p, q)
      areas.push({
        code: `${code}${String(100 + i)}`, name: stems[i % stems.length] + (i % 3 === 2 ? '乡' : '镇'), level: 'township', parent: code,
        lat: p[1], lon: p[0], surveyed: false, outline: polygon(part),
      })
    })
  }
  return areas
}

export function makeTeams(areas) {
  const base = (a) => ({ area: a.code, area_name: a.name, lat: a.lat, lon: a.lon, contact: '值班员', phone: '0312-5550100' })
  const top = areas.filter((a) => a.level !== 'township')
  const townships = areas.filter((a) => a.level === 'township')
  const county = (a) => areas.find((c) => c.code === a.parent).name
  return [
    ...top.map((a) => ({ id: `pro-${a.code}`, name: `${a.name}专业森林消防队`, kind: 'professional', members: 30, ...base(a) })),
    ...townships.map((a) => ({ id: `tw-${a.code}`, name: `${county(a)}${a.name}扑火队`, kind: 'township', members: 15, ...base(a) })),
  ]
}

const iso = (ms) => new Date(ms).toISOString()

export function makeDevices(areas, now) {
  const rnd = seeded(11)
  const townships = areas.filter((a) => a.level === 'township')
  const surnames = '赵钱孙李周吴郑王冯陈刘杨马高林'
  const devices = []
  for (let i = 0; i < 420; i++) {
    const tracker = i < 300
    const a = townships[(i * 7) % townships.length]
    const lon = a.lon + (rnd() - 0.5) * 0.07
    const lat = a.lat + (rnd() - 0.5) * 0.06
    const id = tracker ? `wd-${String(i + 1).padStart(5, '0')}` : `sn-${String(i - 299).padStart(4, '0')}`
    const r = rnd()
    const liveness = r < 0.9 ? 'online' : r < 0.95 ? 'late' : r < 0.98 ? 'silent' : r < 0.99 ? 'never_seen' : 'unknown'
    const age = { online: 8_000, late: 900_000, silent: 5_400_000, unknown: 0, never_seen: 0 }[liveness]
    const values = tracker
      ? { lat, lon, speed_ms: 1.1, acc_m: 8, battery_pct: 40 + Math.floor(rnd() * 60) }
      : { temp_c: 14 + rnd() * 6, rh_pct: 30 + rnd() * 20, wind_ms: rnd() * 5, smoke_obs_pct_m: 0.05, co_ppm: 1 + rnd(), battery_pct: 88 }
    devices.push({
      id, kind: tracker ? 'tracker' : 'sensor', area: a.code, area_name: a.name,
      name: tracker ? `${surnames[i % surnames.length]}护林员${i + 1}` : `${a.name}${i - 299}号站`,
      lat, lon, expect_s: tracker ? 60 : 300, disabled: false, liveness,
      last: age === 0 ? null : { device: id, class: tracker ? 'position' : 'environment', measured: iso(now - age), received: iso(now - age + 900), seq: i, values },
      quarantine: i % 90 === 5 ? { total: 3, last_reason: 'temp_c: 451 is outside -60..300 °C', last: iso(now - 600_000), example: '{"t":1773464400000,"seq":17,"temp_c":451}' } : null,
      heading: rnd() * 6.283,
    })
  }
  return devices
}

export function makeAlerts(devices, now) {
  const sensor = devices.find((d) => d.kind === 'sensor')
  const warden = devices.find((d) => d.kind === 'tracker')
  const quiet = devices.find((d) => d.kind === 'tracker' && d.liveness === 'silent')
  const make = (id, device, more) => ({
    id, rule: 'sensor_fire', rule_version: '1', device: device.id, area: device.area, area_name: device.area_name,
    lat: device.lat, lon: device.lon, severity: 'orange', state: 'firing', summary: '', summary_en: '', reasons: [],
    measured: iso(now - 240_000), raised: iso(now - 235_000), late_s: 0, resolved: null, updated: iso(now), evidence: [], acks: [], order: '', demo: true, ...more,
  })
  const proof = (device, ago, field, value, note = '', lag = 1500) => ({ device: device.id, measured: iso(now - ago), received: iso(now - ago + lag), field, value, note })
  return [
    make('al-0001', sensor, {
      severity: 'red', summary: `${sensor.name}疑似起火：烟雾与一氧化碳同时上升`, summary_en: `${sensor.id}: suspected fire, smoke and CO rise together`,
      reasons: ['烟雾连续 3 次超过 0.8 %/m', '一氧化碳 10 分钟内上升 24 ppm，互相印证', '高火险期内，提高一级', '森林火险橙色预警生效，提高一级'],
      evidence: [proof(sensor, 420_000, 'smoke_obs_pct_m', 0.92), proof(sensor, 330_000, 'smoke_obs_pct_m', 1.4), proof(sensor, 240_000, 'smoke_obs_pct_m', 2.15, '持续 3 次'), proof(sensor, 240_000, 'co_ppm', 26.3, '10 分钟上升 24.1')],
    }),
    make('al-0002', warden, {
      rule: 'sos', severity: 'red', summary: `${warden.name}求救（按键）`, summary_en: `${warden.id}: SOS by button`, late_s: 2820,
      measured: iso(now - 3_000_000), raised: iso(now - 180_000), reasons: ['求救一律告警，不论迟到', '数据缓存后补传，迟到 47 分钟'],
      evidence: [proof(warden, 3_000_000, 'active', 1, '按键求救', 2_820_000)],
    }),
    make('al-0003', quiet, {
      rule: 'silent', severity: 'yellow', summary: `${quiet.name}失联 1 小时 30 分`, summary_en: `${quiet.id}: silent for 90 min`,
      measured: iso(now - 5_400_000), raised: iso(now - 3_600_000), lat: quiet.lat, lon: quiet.lon, reasons: ['名册要求每 1 分钟上报'],
      acks: [{ by: 'yixian', by_name: '易县防火办', at: iso(now - 1_800_000), note: '电话联系上，终端没电' }],
    }),
    make('al-0004', devices[310], {
      rule: 'battery', severity: 'notice', summary: `${devices[310].name}电量 12 %`, summary_en: 'battery 12 %', lat: null, lon: null, reasons: ['低于 15 %'],
      evidence: [proof(devices[310], 900_000, 'battery_pct', 12)],
    }),
    make('al-0005', devices[320], { state: 'resolved', severity: 'yellow', resolved: iso(now - 7_200_000), summary: `${devices[320].name}温度上升过快`, summary_en: 'temperature rise', measured: iso(now - 9_000_000), raised: iso(now - 9_000_000) }),
  ]
}

export function makeWarnings(now) {
  return [{
    id: 'wa-1', identifier: '13060041600000_20260314080000', sender: '保定市气象台', sent: iso(now - 7_200_000), status: 'Actual', msg_type: 'Alert',
    event: '森林火险', event_code: '11B25', issuer: '保定市气象台', headline: '保定市气象台发布森林火险橙色预警信号', text: '预计未来 24 小时涞源县、易县森林火险气象等级高，极易燃烧。',
    measures: '停止一切野外用火，加强巡护。',
    blocks: [
      { area: '130630', area_desc: '涞源县', level: 'orange', from: iso(now - 7_200_000), to: iso(now + 79_200_000) },
      { area: '130633', area_desc: '易县', level: 'yellow', from: iso(now - 7_200_000), to: iso(now + 79_200_000) },
    ],
    in_force: true, ended: null, ended_by: '', received: iso(now - 7_100_000), unmatched: [],
  }]
}

export function makeSeasons(now) {
  const date = iso(now + 8 * 3600_000).slice(0, 10)
  return counties.map(([code, name]) => ({
    area: code, area_name: name, date, version: '2026-1',
    kinds: code === '130630' ? ['prevention', 'high_danger', 'closure'] : ['prevention', 'high_danger'],
  }))
}
