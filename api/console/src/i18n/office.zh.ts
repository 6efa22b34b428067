// Words of the office alone, loaded with its screen.
export default {
  danger: {
    layer: '火险等级', title: '火险等级', level: { 0: '不明', 1: '低度', 2: '较低', 3: '较高', 4: '高度', 5: '极度' }, n: '{n} 级', unknown: '等级不明',
    legend: '火险等级图例', marked: '降级', markedHint: '斜线：沿用旧等级或气象站不足', unread: '火险等级没有读到：{reason}', reading: '正在读取火险等级…',
    method: '方法', methods: { htz: '森林火险气象等级（LY/T 1172）', fwi: '加拿大火险指数 FWI' }, value: '指数', dry: '连续无有效降水', days: '{n} 天', version: '算法版本', rated: '评定',
    held: '沿用 {d} 的等级', degraded: '降级：气象站不足或沿用旧等级', provisional: '当日未结束，按近 24 小时暂定', stations: '所依据的气象站', station: '站', km: '距离', weight: '权重', none: '没有可用的气象站',
    series: '近 30 天', seriesAway: '读不到：{reason}', pick: '点击乡镇查看火险等级', unratedDay: '未评定', max: '最高',
  },
  hotspot: {
    layer: '卫星热点', n: '{n} 处', masked: '已知热源，不告警', maskedBy: '登记热源 {s}', fileMask: '卫星产品标为固定热源', title: '卫星热点', seen: '首次过境', last: '最近过境', satellites: '卫星', confidence: '置信度', power: '辐射功率',
    pixels: '像元', size: '像元宽', level: { low: '低', nominal: '中', high: '高' }, notJudged: '尚未研判', noAlert: '未引起告警', toAlert: '查看告警', outside: '辖区外', unread: '卫星热点没有读到：{reason}',
  },
  incident: {
    n: '{n} 条告警', noAlerts: '没有可见的告警', state: { open: '待核实', confirmed: '已确认火情', refuted: '已排除', closed: '已结束' }, confirm: '确认火情', refute: '排除', sureConfirm: '确认为火情', sureRefute: '排除，不是火情',
    confirmHint: '确认后，同一地点传感器的次要告警不再打扰。', refuteHint: '事件随即结束，不再自动下令。', note: '说明（可不填）', by: '{who} {what}', quiet: '告警已平息', quietSince: '平息于', more: '其余 {n} 条告警', fold: '收起',
    order: '命令', mark: '事件：{s}',
  },
  why: {
    title: '研判说明', reading: '正在读取说明…', away: '说明没有读到：{reason}', more: '展开全文', less: '收起', values: '当时的数值', raised: '严重程度', base: '规则原定', notRaised: '没有因防火期、火险或预警提高',
    by: { season: '防火期', warning: '预警', danger: '火险', special_day: '特殊时段', unknown: '不明从严' }, inputs: '测量时的背景', season: '防火期', warning: '预警', danger: '火险', dry: '连续无有效降水', special: '特殊时段',
    unknown: '不明', none: '无', heldLevel: '沿用', outcome: { actionable: '迟到，仍须处置', record_only: '迟到，只作记录', closes_question: '迟到，答复了未决的问题' }, late: '迟到数据', held: '被拦下的动作',
    heldBy: { inhibition: '抑制', silence: '静默', late: '迟到', calibrating: '校准中', blind: '盲区', gate: '门槛', incident: '同一事件' }, nothingHeld: '没有被拦下的', rule: '规则', condition: '条件',
    suspect: '{f} 警戒值', f: { latest: '最新', min: '最小', max: '最大', avg: '平均', rise: '上升', rate: '变化率', count: '条数', age: '距今' }, value: { baseline_temp_c: '基线气温 ℃', temp_rise_c: '升温 ℃', silent_s: '已静默 s', expect_s: '应报间隔 s', limit_s: '容许 s', expected: '应报台数', silent: '失联台数', recent: '近期失联', confidence_pct: '置信度 %', frp_mw: '辐射功率 MW', pixels: '像元数', satellites: '卫星数', size_km: '像元宽 km' },
    series: '前后曲线', moment: '判定时刻', threshold: '警戒值 {n}', proof: '证据', noSeries: '没有可画的曲线', missing: '曲线不全：{reason}',
  },
  bundle: { many: '等 {n} 处', ack: '全部确认', busy: '正在确认…' },
  hush: { silenced: '已静默', inhibited: '被抑制', show: '显示被抑制的', by: '因', until: '至', hidden: '另有 {n} 条被抑制' },
  silence: {
    open: '静默…', title: '静默', make: '开始静默', busy: '正在保存…', what: '静默什么', scope: { one: '此设备的此规则', device: '此设备的所有规则', area: '{n} 的此规则' }, until: '到何时', ends: '将于 {t} 结束', reason: '原因（必填）', reasonPlaceholder: '例如：已与村委核实为计划烧除',
    for: { 1800: '30 分钟', 3600: '1 小时', 14400: '4 小时', 43200: '12 小时', 86400: '1 天', 259200: '3 天', 604800: '7 天' }, hint: '静默期间告警照常记录，不打扰、不自动下令；变得更严重的仍会出现。SOS 求救永不静默。', sos: 'SOS 求救不能静默',
    list: '静默与拦下', manage: '静默', none: '没有生效的静默', past: '显示近 30 天已结束的', lift: '解除', sureLift: '确认解除', lifted: '{who} 解除', over: '已结束', everyRule: '所有规则', everyDevice: '所有设备', col: { what: '对象', until: '结束', author: '设置人', reason: '原因' },
    holdbacks: '拦下记录', holdbacksHint: '规则判断后没有告警的情形，保留最近 500 条。', noHoldbacks: '没有拦下记录', times: '{n} 次', away: '读不到：{reason}',
  },
  ready: {
    title: '备勤', table: '备勤表 {v}', effective: '自 {d} 起施行', tableBy: '{a} 编制', fromFile: '来自文件', approvedBy: '{a} 批准', showTable: '查看备勤表', tableAway: '备勤表没有读到：{reason}',
    n: '{n} 处待确认', calm: '没有待确认的建议', unread: '备勤状态没有读到：{reason}', all: '全部待确认', clear: '取消选择', chosen: '已选 {n} 处', filter: '找乡镇', onlyOpen: '只看待确认', professional: '专业森林消防队',
    posture: { normal: '正常', standby: '待命', defence: '防御', combat_ready: '临战', emergency: '紧急防火' },
    col: { area: '区域', now: '当前', proposed: '建议', why: '理由', inputs: '依据', measures: '要求' }, since: '自', by: '{who}', automatic: '按表自动', same: '与当前一致', open: '待确认', degraded: '依据不全', easing: '条件自 {t} 起只需 {p}',
    patrols: '每员每日巡护 {n} 次', season: '防火期', warning: '预警', danger: '火险 {n} 级', dangerUnknown: '火险不明', seasonUnknown: '防火期不明', warningUnknown: '预警不明', noWarning: '无预警', held: '沿用', dry: '无雨 {n} 天', offSeason: '非防火期',
    confirm: '按建议确认 {n} 处', confirmAs: '改为 {p}（{n} 处）', change: '另定为', asProposed: '按建议', word: '为什么与建议不同（必填）', wordOptional: '说明（可不填）', order: '同时下达备勤命令', drill: '演练', busy: '正在确认…', moved: '提案已变化，请重看', movedN: '{n} 处的建议在确认前变了，没有作任何更改。已更新，请重看后再确认。',
    done: '已确认 {n} 处', orders: '下达命令 {n} 条', again: '未确认是否成功：{reason}。再按一次不会重复下达。', shortfalls: '未能下达', notMine: '专业队由市级确认', history: '历史', historyOf: '{n} 的备勤历史', noHistory: '还没有历史', select: '选择 {n}', selectCounty: '选择 {n} 待确认的乡镇', viewOrder: '查看命令',
  },
}
