// Words of the devices page, loaded with it.
export default {
  desk: {
    title: '设备', count: '{n} 台', more: '本页 {n} 台', ofThem: '其中', empty: '没有符合条件的设备', clear: '清除条件', refresh: '刷新',
    search: '编号、姓名、点位或外部编号', kind: '类型', area: '区域', anyKind: '全部类型', anyArea: '全部区域', wholeCounty: '{n}（全部）',
    prev: '上一页', next: '下一页', page: '第 {n} 页', exportCsv: '导出 CSV', exportXlsx: '导出 XLSX', import: '导入', create: '新增设备',
    old: '设备列表停在 {t}：{reason}',
    col: { id: '编号', name: '护林员 / 点位', area: '乡镇', seen: '在线状态', battery: '电量', notes: '健康', quarantine: '隔离', calibration: '校准' },
    measured: '测得', received: '收到', disabled: '已停用', noBattery: '未知',
    note: {
      fast: { s: '时钟快 {n} 秒', m: '时钟快 {n} 分钟', h: '时钟快 {n} 小时', d: '时钟快 {n} 天' },
      slow: { s: '时钟慢 {n} 秒', m: '时钟慢 {n} 分钟', h: '时钟慢 {n} 小时', d: '时钟慢 {n} 天' },
      missing: '缺 {n} 条（未知）', buffered: '终端内积压 {n} 条', floodSlowed: '发送过多，已限速', floodCut: '发送过多，已切断',
      daysLeft: '剩余 {n} 天', daysLeftNone: '不足 1 天', daysLeftYear: '剩余一年以上',
    },
    missingHint: '序号中断：这些读数没有收到，不等于丢失，可能仍在终端里。',
    quarantined: '{n} 条', example: '报文示例',
    calibration: { unknown: '未知', calibrating: '校准中', calibrated: '已校准', due: '应校准' },
    credential: { none: '无凭据', active: '有效', revoked: '已吊销' },
    tab: { state: '概况', history: '曲线', track: '轨迹', commands: '指令' },
    registry: '登记信息', health: '健康', actions: '管理',
    f: {
      id: '设备编号', kind: '类型', area: '区划', name: '姓名 / 点位名称', site: '安装位置', phone: '电话', place: '登记位置', lat: '纬度', lon: '经度',
      expect: '上报间隔', expect_s: '上报间隔（秒）', disabled: '停用', model: '型号', alias: '外部编号', firmware: '固件', firmware_reported: '上报的固件',
      calibration: '校准状态', calibrated_at: '校准时间', credential: '凭据', secret: '密钥',
    },
    h: {
      liveness: {
        online: '在线：最近一次测量在应有的间隔之内。', late: '迟到：超过应有的间隔还没有新的测量。', silent: '失联：很久没有新的测量。补传的旧数据不算在线。',
        never_seen: '从未上报：登记以后没有收到过任何读数。', unknown: '未知：历史库读不到，或登记为不要求上报。',
      },
      expect: '应每 {t}上报一次', notExpected: '不要求定时上报', never: '没有收到过消息',
      times: '最近测得 {m}，最近收到 {r}。', late: '最近收到的消息是迟到数据，比测量晚 {t}。',
      clockRight: '时钟：与服务器相差不超过 10 秒。', clock: '{n}。测得时间按设备时钟记录。', clockUnknown: '时钟：未知。',
      battery: '电量 {pct}%', drains: '每天下降 {n} 个百分点', charges: '每天上升 {n} 个百分点', steady: '近日不变', batteryUnknown: '电量：未知。', trendUnknown: '趋势未知',
      complete: '序号连续，没有缺失。', missing: '缺 {n} 条（未知）：序号中断，可能仍在终端里，到达后扣除。', repeated: '重复收到 {n} 条，只计一次。', resets: '序号重新开始 {n} 次。',
      buffered: '终端内积压 {n} 条待传。', notBuffered: '终端内没有积压。', bufferUnknown: '终端内积压：未知。',
      flood: { none: '发送速率正常。', slowed: '发送过多：服务器已放慢读取。', cut: '发送过多：已断开连接，暂不允许重连。' },
      unknown: '还没有健康数据。',
    },
    history: { hours: { 24: '24 小时', 168: '7 天', 720: '30 天' }, empty: '这段时间没有读数', failed: '读不到：{reason}', window: '每点 {t}', gap: '断开处没有读数', band: '线为平均，带为最小至最大' },
    track: { empty: '这段时间没有位置', failed: '轨迹读不到：{reason}', points: '{n} 个点', gaps: '{n} 处中断', gapHint: '中断处没有位置，不连线', glitches: '{n} 个不可能的点未画', until: '点太多，只画出前一段', start: '起点', end: '最后位置', noGl: '此浏览器画不出地图（缺 WebGL）：{reason}' },
    commands: {
      kind: { message: '发消息', locate: '立即定位', return: '召回', config: '改设置' },
      state: { queued: '待发', sent: '已发', delivered: '已达', read: '已阅', answered: '已答', expired: '过期', superseded: '已被替代', withdrawn: '已撤回' },
      steps: { sent: '发出', delivered: '送达', read: '阅读', answered: '回答' },
      title: '新指令', text: '内容', textMessage: '显示给护林员的文字', textOptional: '说明（可不填）', expires: '有效', ttl: { 600: '10 分钟', 3600: '1 小时', 21600: '6 小时', 86400: '1 天', 604800: '7 天' },
      drill: '演练', send: '发送', busy: '正在发送…', empty: '还没有指令', until: '有效至 {t}', by: '{who} 下达', withdraw: '撤回', withdrawSure: '确认撤回', withdrawReason: '撤回原因',
      again: '未确认是否发出：{reason}。再按一次不会重复发送。', failed: '指令读不到：{reason}', supersedes: '同类的新指令会替代未完成的旧指令；消息逐条保留。', answer: '回答',
     
    },
    admin: { edit: '编辑', rotate: '更换凭据', revoke: '吊销凭据', retire: '停用设备', enable: '重新启用', sure: '确认' },
    sure: {
      rotate: '旧凭据立即失效，设备会断开，直到装入新凭据。', revoke: '设备立即断开，在换发新凭据之前不能再连接。', retire: '设备立即断开并停用，历史数据保留。', enable: '设备可以再次连接。',
    },
    form: { create: '新增设备', edit: '编辑设备', save: '保存', saving: '正在保存…', submit: '登记并生成凭据', busy: '正在登记…', pickArea: '请选择', placeHint: '不填：取区划中心', aliasHint: "owntracks/用户/设备、chirpstack/DevEUI、tts/应用{'@'}租户/设备", placeBoth: '经纬度要同时填写' },
    card: {
      title: '设备凭据', once: '密码只显示这一次，关闭后无法再次查看；丢失只能更换。', scan: '用设备或手机应用扫描二维码，或手工填写：', username: '用户名', password: '密码', server: '服务器', tls: '加密', plain: '未加密', publish: '可发布', subscribe: '可订阅',
      copy: '复制', copied: '已复制', copyAll: '复制全部', noCopy: '复制失败，请手工选取', qr: '二维码：连接此设备所需的全部内容', done: '我已保存，关闭', saved: '密码已保存到设备或安全处',
    },
    importer: {
      title: '导入设备', file: '选择文件（CSV 或 XLSX）', noFile: '未选择', lead: '先试算，不会改动任何设备；看过结果再确认。已有编号的行修改表中列出的列，新编号的行新增设备。', remove: '移除表中没有的设备（历史保留）',
      check: '试算', checking: '正在试算…', added: '新增 {n}', changed: '修改 {n}', removed: '移除 {n}', unchanged: '不变 {n}', errors: '{n} 处错误', noErrors: '没有错误',
      row: '行', column: '列', message: '错误', table: '整表', id: '编号', what: '改动', columns: '改动的列', first: '只列出前 {n} 台', apply: '确认导入 {n} 处改动', applying: '正在导入…', done: '已导入：新增 {a}，修改 {c}，移除 {r}。',
      nothing: '没有需要改动的内容', fix: '改正全部错误后重新选择文件', change: { added: '新增', changed: '修改', removed: '移除' }, sureRemove: '确认移除 {n} 台设备', kindUnknown: '请选 .csv 或 .xlsx 文件', tooLarge: '文件超过 16 MB', example: '可先导出一份作为模板',
    },
  },
}
