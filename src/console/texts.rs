//! Every word of the console in each language: one line a text, so that none can be missing in one of them.
//! `{name}` in a text is filled in by `fill`.

use crate::message::Language;

macro_rules! texts {
    ($($key:ident: $en:literal, $zh:literal;)*) => {
        /// The words of the console in one language.
        #[derive(Debug)]
        pub(super) struct Texts { $(pub(super) $key: &'static str,)* }
        static EN: Texts = Texts { $($key: $en,)* };
        static ZH: Texts = Texts { $($key: $zh,)* };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $zh),)*];
    };
}

texts! {
    // Frame
    skip: "Skip to content", "跳到正文";
    navigation: "Main navigation", "主导航";
    overview: "Overview", "总览";
    conversations: "Conversations", "对话";
    documents: "Documents", "资料";
    people: "People", "人员";
    log_out: "Log out", "退出登录";
    language: "Language", "语言";
    language_en: "English", "英语";
    language_zh: "Chinese", "中文";
    role_viewer: "Viewer", "查看者";
    role_agent: "Agent", "客服";
    role_merchant: "Merchant", "商家";
    role_owner: "Owner", "所有者";

    ago_now: "just now", "刚刚";
    ago_minutes: "{n} min ago", "{n} 分钟前";
    ago_hours: "{n} h ago", "{n} 小时前";
    ago_days: "{n} d ago", "{n} 天前";

    // Log-in and set-up
    log_in: "Log in", "登录";
    log_in_intro: "Read conversations, answer shoppers and keep the shop's documents.", "查看对话、回复顾客、管理店铺资料。";
    email: "E-mail", "邮箱";
    password: "Password", "密码";
    password_again: "Password once more", "再次输入密码";
    password_hint: "At least 10 characters. A few words in a row are easy to remember.", "至少 10 个字符，几个词连在一起更容易记住。";
    name: "Name", "姓名";
    name_hint: "Your colleagues see it, and it stands beside your answers.", "同事会看到，也会显示在您的回复旁边。";
    wrong_password: "This e-mail and password do not belong together. Check both and try again.", "邮箱或密码不正确，请检查后重试。";
    too_many_tries: "Too many wrong passwords. Wait {n} seconds and try again.", "密码错误次数过多，请等待 {n} 秒后重试。";
    needs_https: "Over this plain http address nobody can log in safely. Open the console over https, or on the shop's own machine through http://localhost.", "在普通 http 地址上无法安全登录。请通过 https 打开控制台，或在店铺的机器上通过 http://localhost 打开。";
    nobody_yet: "Nobody can log in yet. Open the set-up link that the program printed when it was started.", "还没有可登录的账号。请打开程序启动时显示的设置链接。";
    setup: "Set up the console", "设置控制台";
    setup_intro: "You will be the owner of this shop's console. This link works only once.", "您将成为本店控制台的所有者。此链接只能使用一次。";
    setup_button: "Create the owner", "创建所有者";
    name_needed: "Enter a name of at most 80 characters.", "请输入姓名，最多 80 个字符。";
    email_needed: "Enter an e-mail address such as ana@shop.example.", "请输入邮箱地址，例如 ana@shop.example。";
    password_needed: "Choose a password of at least {n} characters.", "请设置至少 {n} 个字符的密码。";
    password_mismatch: "The two passwords differ. Enter the same one twice.", "两次输入的密码不一致，请重新输入。";

    // Overview
    welcome: "Hello, {name}", "您好，{name}";
    waiting_none: "Nobody is waiting for a person.", "没有顾客在等待人工客服。";
    waiting_one: "1 shopper is waiting for a person.", "有 1 位顾客在等待人工客服。";
    waiting_many: "{n} shoppers are waiting for a person.", "有 {n} 位顾客在等待人工客服。";
    waiting_open: "Open conversations", "打开对话";
    knowledge: "What the bot knows", "机器人的知识";
    records: "Shop records", "店铺数据";
    passages: "Passages", "段落";
    products: "Products", "商品";
    orders: "Orders", "订单";
    reviews: "Reviews", "评价";
    events: "Events", "行为记录";
    total: "All", "全部";
    start_here: "Start here", "从这里开始";
    start_documents: "Upload the shop's documents: returns, delivery, questions and answers. The bot answers from them and from nothing else.", "上传店铺资料：退换货、配送、常见问答。机器人只根据这些资料回答。";
    start_conversation: "Write to the bot on the shop's page. The conversation appears here at once.", "在店铺页面上给机器人发消息，对话会立即显示在这里。";

    health_starting: "The shop is being opened", "店铺正在启动";
    health_ready: "The bot answers", "机器人正常回复";
    health_degraded: "The bot answers, but not all of it is there", "机器人可以回复，但部分功能缺失";
    health_unavailable: "The bot cannot answer: the database does not", "机器人无法回复：数据库没有响应";
    health_encoder: "Encoder: {name}", "编码模型：{name}";
    chat_ready: "Chat model: ready", "对话模型：就绪";
    chat_loading: "Chat model: being loaded", "对话模型：加载中";
    chat_absent: "Chat model: none, replies are the documents’ own words", "对话模型：未使用，直接引用资料原文";
    chat_failed: "Chat model: could not be loaded ({name})", "对话模型：无法加载（{name}）";
    chat_unreachable: "Chat model: its server does not answer, replies are the documents’ own words ({name})", "对话模型：服务器没有响应，直接引用资料原文（{name}）";

    // Conversations
    search: "Search in messages", "搜索消息";
    search_button: "Search", "搜索";
    clear: "Clear", "清除";
    state: "State", "状态";
    state_all: "All states", "全部状态";
    state_bot: "Bot answers", "机器人接待";
    state_waiting: "Waiting for a person", "等待人工";
    state_with_staff: "With staff", "人工接待";
    state_closed: "Closed", "已结束";
    waiting_list: "Waiting for a person", "等待人工客服";
    other_list: "Other conversations", "其他对话";
    messages: "{n} messages", "{n} 条消息";
    newer: "Newer", "较新";
    older: "Older", "较早";
    pages: "Pages", "分页";
    list_empty: "No conversations yet", "还没有对话";
    list_empty_hint: "When a shopper writes in the widget or in Telegram, the conversation appears here.", "顾客在网页窗口或 Telegram 中留言后，对话会显示在这里。";
    list_nothing: "Nothing found", "没有找到";
    list_nothing_hint: "Try another word, or clear the filter.", "请换个词，或清除筛选条件。";
    shopper_named: "Shopper {id}", "顾客 {id}";
    verified: "Verified customer", "已验证顾客";
    channel_widget: "Widget", "网页窗口";
    channel_terminal: "Terminal", "终端";
    channel_batch: "Batch", "批处理";
    back_to_list: "All conversations", "全部对话";
    transcript: "Transcript", "对话记录";
    transcript_empty: "No messages yet.", "还没有消息。";
    rated_good: "Rated as helpful", "评价：有帮助";
    rated_bad: "Rated as not helpful", "评价：没有帮助";
    author_shopper: "Shopper", "顾客";
    author_bot: "Bot", "机器人";
    author_staff: "Staff", "客服";
    take_over: "Take over", "接管";
    hand_back: "Hand back to the bot", "交还机器人";
    close: "Close", "结束";
    actions: "Actions", "操作";
    reply: "Reply to the shopper", "回复顾客";
    reply_hint: "Your reply takes the conversation over; the bot stays silent until you hand it back.", "回复即接管对话；交还之前机器人不再回答。";
    reply_placeholder: "Write a reply …", "输入回复……";
    send: "Send", "发送";
    answers_now: "{name} is answering", "{name} 正在接待";
    waits_since: "number {n} in the queue, waiting for {time}", "排在第 {n} 位，已等待 {time}";
    minutes: "{n} min", "{n} 分钟";
    hours: "{n} h", "{n} 小时";
    wish_list: "Left a message for a person", "给人工留了言";
    wish_left: "Left a message for a person", "给人工留了言";
    desk_open: "Within your hours: shoppers are told their place in the queue.", "现在是工作时间：顾客会看到自己的排队位置。";
    desk_closed: "Outside of your hours: shoppers are told that you are back {time}.", "现在是非工作时间：顾客会得知您{time}上班。";
    locked: "{name} is answering and wrote {time}. Your reply was not sent.", "{name} 正在接待，{time}有操作。您的回复没有发送。";
    take_anyway: "Take over anyway and send", "仍然接管并发送";
    keep_note: "Keep as a note", "存为内部备注";
    note: "Note for colleagues", "内部备注";
    reply_empty: "Write something before you send it.", "请先输入内容再发送。";
    reply_too_long: "The reply has {n} characters and may have at most {max}. Shorten it or send it in parts.", "回复有 {n} 个字符，最多 {max} 个。请缩短或分几次发送。";
    read_only: "You can read this conversation. To answer, ask the owner for the role Agent.", "您可以查看此对话。如需回复，请向所有者申请“客服”角色。";

    // Set aside
    set_aside: "Set aside", "待处理消息";
    set_aside_hint: "Messages that could not be read, or whose answer failed three times. The shopper got no answer: write to them, or try again once the cause is mended.", "无法读取，或三次回复都失败的消息。顾客没有收到回复：请直接联系顾客，或在排除原因后重试。";
    set_aside_empty: "Nothing is set aside.", "没有待处理的消息。";
    set_aside_content: "Message", "消息";
    set_aside_error: "What went wrong", "失败原因";
    set_aside_received: "Received", "收到时间";
    set_aside_unread: "Could not be read:", "无法读取：";
    set_aside_again: "Try again", "重试";

    // Why the bot said what it said
    why: "Why", "依据";
    why_intent: "Intent", "意图";
    why_route: "Route", "处理方式";
    why_query: "Looked up", "检索内容";
    why_sentiment: "Sentiment", "情绪";
    why_words: "Words", "措辞";
    why_model: "Model", "模型";
    why_prompt: "Prompt", "提示词";
    why_encoder: "Encoder", "编码器";
    why_latency: "First words / complete", "首字 / 完成";
    why_intents: "Likeliest intents", "最可能的意图";
    why_citations: "Cited", "引用";
    why_passages: "Passages considered", "参考段落";
    why_support: "Support check", "依据核查";
    why_no_passages: "No passage was looked up for this turn.", "本轮没有检索段落。";
    score: "answers", "可回答";
    read: "read by the chat model", "聊天模型阅读";
    written_by_model: "worded by the model, checked against the passages", "由模型措辞，已对照段落核查";
    written_literally: "the shop's own words", "店铺原文";
    sentiment_negative: "negative", "负面";
    sentiment_neutral: "neutral", "中性";
    sentiment_positive: "positive", "正面";
    route_answer: "answered", "已回答";
    route_decline: "declined", "未能回答";
    route_recommend: "recommended products", "推荐商品";
    route_order_status: "told the order's status", "告知订单状态";
    route_verify_identity: "asked for proof of identity", "请求验证身份";
    route_handoff: "passed to a person", "转人工";
    route_smalltalk: "small talk", "闲聊";

    // Documents
    upload: "Upload", "上传";
    upload_title: "Add documents or records", "添加资料或数据";
    upload_drop: "Choose files, or drop them here", "选择文件，或拖放到此处";
    upload_formats: "Markdown, text, HTML, Word, PDF, JSON, and Excel, CSV or JSON for products, orders, reviews and events. A file of the same name replaces the earlier one.", "支持 Markdown、文本、HTML、Word、PDF、JSON；商品、订单、评价和行为记录可用 Excel、CSV 或 JSON。同名文件会替换旧文件。";
    upload_limits: "At most {n} files of {mb} MB each.", "最多 {n} 个文件，每个不超过 {mb} MB。";
    upload_busy: "Reading … this can take a minute for a large file.", "正在读取……大文件可能需要一分钟。";
    upload_results: "Result of the upload", "上传结果";
    upload_read: "Read", "已读取";
    upload_not_read: "Not read", "未读取";
    upload_too_large: "The file is larger than {mb} MB; split it into smaller files and upload those.", "文件超过 {mb} MB；请拆分成较小的文件后上传。";
    upload_too_many: "Only the first {n} files were read; upload the other {excess} in another round.", "只读取了前 {n} 个文件；其余 {excess} 个请分次上传。";
    upload_nothing: "No file was chosen. Choose one and upload it again.", "没有选择文件，请选择后重新上传。";
    upload_empty_file: "The file is empty; check that it was saved and upload it once more.", "文件是空的；请确认已保存后重新上传。";
    upload_broken: "The upload broke off before the end; try it once more.", "上传中断，请重试。";
    upload_failed: "The file could not be read because of a fault in the program; the log says more. The other files are not affected.", "程序出错，无法读取该文件；详情见日志。其他文件不受影响。";
    upload_forbidden: "To upload or delete documents, ask the owner for the role Merchant.", "如需上传或删除资料，请向所有者申请“商家”角色。";
    documents_empty: "No documents yet", "还没有资料";
    documents_empty_hint: "Upload the shop's first document above. Until then the bot can only pass shoppers on to a person.", "请在上方上传第一份资料。在此之前，机器人只能把顾客转给人工客服。";
    column_document: "Document", "资料";
    column_version: "Version", "版本";
    column_language: "Language", "语言";
    column_passages: "Passages", "段落";
    column_size: "Size", "大小";
    column_date: "Imported", "导入时间";
    all_documents: "All documents", "全部资料";
    document_read: "What was read", "读取内容";
    document_read_hint: "These are the passages that the bot can find and quote. If something is missing or garbled here, the bot does not know it.", "以下是机器人可以检索和引用的段落。如有缺失或乱码，说明机器人不知道这些内容。";
    document_notes: "What was left out", "未读取的内容";
    document_no_passages: "Nothing was read from this document that could be quoted.", "没有从此资料中读取到可引用的内容。";
    document_delete: "Delete document", "删除资料";
    document_delete_question: "Delete {name}?", "删除 {name}？";
    document_delete_hint: "Its {n} passages are no longer found or quoted. Conversations keep the quotes that were sent. To bring it back, upload the file again.", "其中 {n} 个段落将不再被检索和引用。对话中已发送的引用会保留。如需恢复，请重新上传该文件。";
    delete: "Delete", "删除";
    cancel: "Cancel", "取消";
    kind_text: "Text", "文本";
    kind_question: "Question and answer", "问答";
    kind_row: "Table row", "表格行";
    question: "Question", "问题";
    column: "Column", "列";
    value: "Value", "值";

    // People
    people_add: "Add somebody", "添加人员";
    people_add_button: "Add", "添加";
    people_hint: "Each role may do what the ones before it may: a viewer reads, an agent answers shoppers, a merchant keeps documents, an owner adds people.", "每个角色包含前一个角色的权限：查看者可查看，客服可回复顾客，商家可管理资料，所有者可添加人员。";
    people_password_hint: "Give it to them in person; at least 10 characters.", "请当面告知对方；至少 10 个字符。";
    role: "Role", "角色";
    role_needed: "Choose a role.", "请选择角色。";
    email_taken: "Somebody with this e-mail is there already. Use another e-mail.", "该邮箱已被使用，请换一个。";

    // Errors
    error_home: "Go to the overview", "返回总览";
    error_not_found: "There is no such page", "页面不存在";
    error_not_found_advice: "The address is mistyped, or what it showed has been deleted.", "地址有误，或内容已被删除。";
    error_forbidden: "You may not do this", "没有权限";
    error_forbidden_advice: "Your role does not allow it. Ask the owner for a role that does.", "您的角色没有此权限，请向所有者申请。";
    error_cross_origin: "The request did not come from this console, so it was not carried out. Open the console's own page and try it there.", "请求不是来自本控制台，因此未执行。请在控制台页面中重试。";
    error_setup_link: "This set-up link has been used or replaced by a newer one. If there is an owner, log in; if not, start the program again and open the link that it prints.", "此设置链接已被使用或已失效。如果已有所有者，请直接登录；否则请重新启动程序并打开新显示的链接。";
    error_busy: "Many people are logging in right now. Wait a moment and try again.", "登录人数过多，请稍后重试。";
    error_too_large: "This is too much at once", "内容过大";
    error_too_large_advice: "Send less at once, for example fewer or smaller files.", "请减少内容，例如上传更少或更小的文件。";
    error_request: "The request cannot be understood", "无法理解该请求";
    error_request_advice: "Go back, reload the page and try again.", "请返回并刷新页面后重试。";
    error_internal: "Something went wrong", "出错了";
    error_internal_advice: "Nothing was changed. Try again; if it happens again, the program's log says why.", "没有做任何更改。请重试；如果再次出现，请查看程序日志。";

    // The inbox
    views: "Views", "视图";
    view_all: "All", "全部";
    view_mine: "Mine", "我的";
    view_unassigned: "Unassigned", "未分配";
    view_waiting: "Waiting", "等待中";
    view_snoozed: "Snoozed", "已暂缓";
    filters: "Filters", "筛选";
    filter_button: "Show", "显示";
    channel: "Channel", "渠道";
    any_channel: "Any channel", "全部渠道";
    any_language: "Any language", "全部语言";
    any_intent: "Any intent", "全部意图";
    any_quality: "Any turn", "全部结果";
    any_tag: "Any tag", "全部标签";
    last_turn: "The bot's last turn", "机器人最近一轮";
    quality_declined: "Could not answer", "未能回答";
    quality_unsure: "Unsure of the intent", "意图不确定";
    tag: "Tag", "标签";
    tags: "Tags", "标签";
    from_day: "From", "起始日期";
    to_day: "To", "截止日期";
    unread: "{n} new", "{n} 条新消息";
    choose_one: "Choose a conversation", "请选择一个对话";
    choose_one_hint: "The list stays here while you read and answer.", "阅读和回复时，列表会保留在左侧。";
    export_list: "Export this list", "导出列表";
    export: "Export", "导出";
    json_lines: "JSON lines", "JSON 行";
    print: "Print", "打印";
    print_view: "Print view", "打印视图";
    print_with_notes: "With notes and notices", "包含备注和通知";
    print_without_notes: "Without notes and notices", "不含备注和通知";
    back_to_conversation: "Back to the conversation", "返回对话";
    snoozed_until: "Snoozed until {time}", "暂缓至 {time}";
    snooze: "Snooze", "暂缓";
    snooze_for: "Snooze for", "暂缓时长";
    snooze_hours: "{n} h", "{n} 小时";
    snooze_days: "{n} d", "{n} 天";
    snooze_until: "or until", "或暂缓至";
    came_back: "Back from its snooze", "暂缓时间已到";
    snooze_done: "Done with it", "已处理";
    wake: "Wake up now", "立即恢复";
    assignee: "Assigned to", "负责人";
    nobody: "Nobody", "无";
    assign: "Assign", "分配";
    assigned: "{name} assigned the conversation to {colleague}.", "{name} 将对话分配给 {colleague}。";
    assigned_nobody: "{name} took the assignment away.", "{name} 取消了分配。";
    tag_add: "Add", "添加";
    tag_remove: "Remove the tag {name}", "移除标签 {name}";
    open_with: "{name} has this conversation open too.", "{name} 也打开了此对话。";
    shopper_writes: "The shopper is writing …", "顾客正在输入……";
    shopper_pane: "About the shopper", "顾客资料";
    not_verified: "Not verified: orders show once the shopper has proved who they are.", "尚未验证：顾客证明身份后显示订单。";
    no_orders: "No orders.", "没有订单。";
    order_from: "placed", "下单";
    order_arrives: "expected", "预计送达";
    order_awaiting_payment: "awaiting payment", "待付款";
    order_processing: "processing", "处理中";
    order_shipped: "shipped", "已发货";
    order_out_for_delivery: "out for delivery", "派送中";
    order_delayed: "delayed", "延误";
    order_delivered: "delivered", "已送达";
    order_cancelled: "cancelled", "已取消";
    order_returned: "returned", "已退货";
    order_refunded: "refunded", "已退款";
    products_mentioned: "Products in this conversation", "对话中的商品";
    product_shown: "shown", "已展示";
    product_asked: "asked about", "被询问";
    in_stock: "{n} in stock", "库存 {n}";
    not_in_catalogue: "not in the catalogue now", "目录中已没有";
    earlier_conversations: "Earlier conversations", "其他对话记录";
    notes: "Notes", "内部备注";
    attachments: "Attachments", "附件";
    canned: "Ready answers", "快捷回复";
    canned_hint: "Type / and the short name in a reply to put one in.", "在回复框输入 / 和短名称即可插入。";
    canned_empty: "No ready answers yet.", "还没有快捷回复。";
    canned_name: "Short name", "短名称";
    canned_name_hint: "One word, for example returns.", "一个词，例如“退货”。";
    canned_text: "Answer", "回复内容";
    canned_keep: "Keep", "保存";
    canned_add: "Add or replace one", "添加或替换";
    canned_delete: "Delete {name}", "删除 {name}";
    canned_insert: "Put in", "插入";
    canned_name_needed: "Choose a short name of one word: letters, digits and hyphens, at most 30.", "请填写短名称：一个词，可用文字、数字和连字符，最多 30 个字符。";
    canned_text_needed: "Enter an answer of at most 4,000 characters.", "请输入回复内容，最多 4000 个字符。";
    shortcuts: "Keyboard shortcuts", "键盘快捷键";
    shortcut_next: "Next conversation", "下一个对话";
    shortcut_previous: "Previous conversation", "上一个对话";
    shortcut_reply: "Reply", "回复";
    shortcut_note: "Write a note", "写备注";
    shortcut_search: "Search", "搜索";
    shortcut_help: "This help", "显示此帮助";
    shortcut_send: "Send", "发送";
    shortcut_canned: "In a reply: put a ready answer in", "回复时：插入快捷回复";
    close_help: "Close", "关闭";
    sound: "Sound on new messages", "新消息提示音";
    // What staff and merchants do about the bot's knowledge
    this_was_wrong: "This was wrong", "回答有误";
    wrong_marked: "Called wrong", "已标记有误";
    answer_proposed: "Answer proposed", "答案待审核";
    answer_live: "Answer in use", "答案已启用";
    answer_rejected: "Answer rejected", "答案已拒绝";
    answer_withdrawn: "Answer taken back", "答案已撤回";
    correct_asked: "The shopper asked", "顾客的问题";
    correct_said: "The bot said", "机器人的回答";
    correct_answer: "Right answer", "正确答案";
    correct_question_hint: "As shoppers would ask it, understandable by itself and without personal data.", "请写成顾客会问的样子，无需上下文即可理解，不含个人信息。";
    correct_live_hint: "The bot answers so within seconds, also when the question is put a little differently.", "几秒后机器人即按此回答，问法略有不同时也适用。";
    correct_proposed_hint: "A merchant looks at it before the bot answers so.", "商家审核后，机器人才会按此回答。";
    correct_save_live: "Save and use", "保存并启用";
    correct_propose: "Propose", "提交审核";
    correct_mark: "I do not know: only call it wrong", "不清楚答案，仅标记有误";
    correct_question_needed: "Write the question, in at most {max} characters.", "请填写问题，最多 {max} 个字符。";
    correct_answer_needed: "Write the right answer, in at most {max} characters.", "请填写正确答案，最多 {max} 个字符。";
    save: "Save", "保存";
    corrections: "Corrections", "答案更正";
    corrections_hint: "Answers that staff wrote because the bot had none or a wrong one. Those in use make up the document “staff answers.csv”.", "机器人没有答案或回答有误时，由员工填写的答案。已启用的答案组成资料“staff answers.csv”。";
    corrections_empty: "No corrections yet", "还没有更正";
    corrections_empty_hint: "Under each reply of the bot in a conversation there is “This was wrong”; the page Gaps has the questions without an answer.", "在对话中，机器人的每条回答下都有“回答有误”；没有答案的问题见“知识缺口”页面。";
    corrections_proposed: "Wait for a decision", "待审核";
    corrections_live: "In use", "已启用";
    corrections_others: "Rejected or taken back ({n})", "已拒绝或撤回（{n}）";
    corrections_checked: "{right} of {n} questions that were asked again are still answered so.", "再次提问的 {n} 个问题中，{right} 个仍按此回答。";
    answer_by: "by {name},", "{name}，";
    answer_decided: "decided by {name}", "由 {name} 决定";
    answer_approve: "Approve", "通过";
    answer_reject: "Reject", "拒绝";
    answer_edit: "Change or take back", "修改或撤回";
    answer_withdraw: "Take back", "撤回";
    ask_again: "Ask all again", "全部重新提问";
    check_right: "still answered so", "仍按此回答";
    check_wrong: "answered otherwise", "回答不同";
    check_said: "The bot now says", "机器人现在的回答";
    gaps: "Gaps", "知识缺口";
    gaps_hint: "What shoppers asked lately and the bot declined, answered without much confidence or answered wrongly. Questions that ask the same stand together; personal data is masked.", "近期机器人未能回答、把握不大或回答有误的问题。意思相同的问题归为一组；个人信息已隐去。";
    gaps_empty: "No gaps", "没有缺口";
    gaps_empty_hint: "The bot had an answer to everything that was asked lately.", "近期的问题机器人都有答案。";
    gaps_order: "Order", "排序";
    gaps_frequent: "Most frequent first", "最常见优先";
    gaps_recent: "Newest first", "最新优先";
    gaps_dismissed: "Not for us ({n})", "与本店无关（{n}）";
    gap_count: "asked {n}×", "问过 {n} 次";
    gap_declined: "declined", "未能回答";
    gap_unsure: "not sure", "把握不大";
    gap_answer: "Write the answer", "填写答案";
    gap_dismiss: "Not for us", "与本店无关";
    gap_restore: "Put back", "恢复";
    test_bench: "Test bench", "测试台";
    bench_hint: "See what the bot would say and why. Nothing is kept, and no shopper sees it.", "查看机器人会如何回答及其依据。内容不会保存，顾客也看不到。";
    bench_ask: "Ask", "提问";
    bench_reply: "What the bot would say", "机器人会这样回答";
    drafts: "Not published yet", "尚未发布";
    drafts_hint: "These documents were read. The bot answers from them once they are published.", "以下资料已读取，发布后机器人才会据此回答。";
    draft: "Not published", "未发布";
    draft_look: "See what was read, then publish it", "查看读取内容后发布";
    draft_publish: "Publish", "发布";
    draft_publish_all: "Publish all {n}", "全部发布（{n}）";
    draft_throw_away: "Throw away", "丢弃";
    draft_new: "A new document. The bot does not answer from it until it is published.", "新资料。发布之前机器人不会据此回答。";
    draft_replaces: "Another version of a document that is published. The bot answers from the earlier one until this one is published.", "已发布资料的新版本。发布之前机器人仍使用旧版本。";
    draft_read_hint: "These are the passages that the bot could find and quote. If something is missing or garbled here, the bot would not know it.", "以下是发布后机器人可以检索和引用的段落。如有缺失或乱码，机器人便无从得知。";
    difference_published: "What would be different", "将会发生的变化";
    difference_version: "What would be different after rolling back", "恢复后会发生的变化";
    difference_added: "{n} added", "新增 {n}";
    difference_removed: "{n} removed", "删除 {n}";
    difference_changed: "{n} changed", "修改 {n}";
    difference_unchanged: "{n} unchanged", "未变 {n}";
    change_added: "Added", "新增";
    change_removed: "Removed", "删除";
    change_changed: "Changed", "修改";
    change_before: "Before", "之前";
    change_after: "After", "之后";
    versions: "Earlier versions ({n})", "历史版本（{n}）";
    roll_back: "Roll back to this one", "恢复到此版本";
    valid_until: "Valid until", "有效期至";
    valid_until_hint: "The last day on which the bot quotes it. Leave it empty for no end.", "机器人引用此资料的最后一天。留空表示长期有效。";
    valid_until_wrong: "“{date}” is no date; write one such as 2026-12-31.", "“{date}”不是日期，请按 2026-12-31 的格式填写。";
    valid_for_now: "until a date", "有期限";
    expired: "Expired", "已过期";
    contradictions: "Documents that may contradict each other", "可能互相矛盾的资料";
    contradictions_hint: "Both sentences seem to be about the same and say different numbers. Mend the one that is wrong and upload its document again.", "两句话似乎说的是同一件事，但数字不同。请改正有误的一处，然后重新上传该资料。";
    expired_hint: "It is not quoted any more.", "此资料已不再被引用。";

    // Question set
    question_set: "Question set", "问题集";
    bench_keep: "This reply is right: keep the question in the question set", "这个回复正确：把问题加入问题集";
    set_hint: "These questions are tried before a document is published. When a reply that is right today would become wrong, the document is not published and you see why.", "发布资料前会先用这些问题测试。如果现在正确的回复会变错，资料不会发布，并在这里说明原因。";
    set_check: "Try all now", "立即全部测试";
    set_latest: "Latest check", "最近一次测试";
    set_running: "Trying the questions …", "正在测试问题……";
    set_failed: "The questions could not be tried and nothing was published. Try again; the program’s log says why.", "测试未能完成，没有发布任何资料。请重试，原因见程序日志。";
    set_blocked: "Not published. Replies that would become wrong: {n}.", "未发布。会变错的回复：{n}。";
    set_published: "Published: no reply becomes wrong.", "已发布：没有回复变错。";
    set_forced: "Published although replies become wrong.", "已发布，尽管有回复变错。";
    set_done: "Tried with what is published.", "已用当前发布的资料测试。";
    set_right: "Right:", "正确：";
    set_worse: "Would become wrong", "会变错";
    set_wrong: "Wrong", "错误";
    set_changed: "Right, in other words", "正确，但说法变了";
    set_now: "Now", "现在";
    set_then: "After publishing", "发布后";
    set_back_to_draft: "Back to the draft", "返回草稿";
    set_publish_anyway: "Publish all the same", "仍然发布";
    set_kept: "Kept questions ({n})", "已保存的问题（{n}）";
    set_empty: "No questions yet", "还没有问题";
    set_empty_hint: "Ask in the test bench and keep what is answered well, or add questions here. Without any, documents are published untested.", "在测试台提问并保存回答得好的问题，或在这里添加。没有问题时，资料会直接发布。";
    set_add: "Add a question", "添加问题";
    set_expects: "A right reply", "正确的回复应该";
    set_expects_answer: "answers", "给出回答";
    set_expects_decline: "says that it does not know", "说明没有相关资料";
    set_document: "From the document", "引用的资料";
    set_any_document: "any", "不限";
    set_keep: "Keep", "保存";
    set_forget: "Remove", "移除";
    question_needed: "Enter a question of at most 500 characters.", "请输入问题，最多 500 个字符。";
    questions_full: "There are 200 questions already: remove some first.", "已有 200 个问题，请先移除一些。";
    // Catalogue
    catalogue: "Catalogue", "商品目录";
    catalogue_search: "Search by name, SKU, property …", "按名称、货号、属性搜索……";
    catalogue_all_categories: "All categories", "全部类别";
    catalogue_any_stock: "Any stock", "全部库存";
    catalogue_in_stock: "In stock", "有货";
    catalogue_low_stock: "Nearly sold out", "库存紧张";
    catalogue_sold_out: "Sold out", "已售罄";
    catalogue_found: "{n} products", "{n} 件商品";
    catalogue_none: "No such product", "没有符合条件的商品";
    catalogue_none_hint: "Search for other words or clear the search.", "请更换关键词，或清除搜索条件。";
    catalogue_empty: "No products yet", "还没有商品";
    catalogue_empty_hint: "Import a table of products; the bot recommends them a moment later.", "导入商品表后，机器人很快就能推荐这些商品。";
    catalogue_pages: "Pages", "分页";
    catalogue_previous: "Previous page", "上一页";
    catalogue_next: "Next page", "下一页";
    catalogue_applied: "The import was applied. The bot answers from it within a few seconds.", "导入已生效，机器人将在几秒内按新数据回答。";
    catalogue_changed_meanwhile: "The catalogue has changed since this page was shown, so nothing was applied. Below is what the file would do now; look at it once more.", "此页面显示之后商品目录已有变化，因此没有应用任何改动。下面是该文件现在会产生的改动，请再确认一次。";
    catalogue_import: "Import products", "导入商品";
    catalogue_import_hint: "Nothing changes yet: first you see what the file would add and change, and which lines it has that cannot be taken.", "上传后不会立即生效：您会先看到该文件将新增、更改哪些商品，以及哪些行无法读取。";
    catalogue_file: "Table of products", "商品表";
    catalogue_formats: "CSV, XLSX or JSON with the columns sku, title, price and stock, or a Shopify export; at most 20 MB.", "CSV、XLSX 或 JSON，需包含货号、名称、价格、库存列，或 Shopify 导出文件；不超过 20 MB。";
    catalogue_whole: "This file is the whole catalogue", "此文件是完整的商品目录";
    catalogue_whole_hint: "Products that are not in the file are then removed.", "勾选后，文件中没有的商品将被移除。";
    catalogue_look: "See what would change", "查看将发生的改动";
    catalogue_no_products: "The file has no products. Choose one with a line for each product.", "文件中没有商品，请选择每行一件商品的文件。";
    product_title: "Name", "名称";
    product_sku: "SKU", "货号";
    product_category: "Category", "类别";
    product_price: "Price", "价格";
    product_stock: "Stock", "库存";
    product_description: "Description", "描述";
    product_attributes: "Properties", "属性";
    product_attributes_hint: "One a line, for example colour: blue", "每行一个，例如 颜色：蓝色";
    product_image: "Picture", "图片";
    product_fits: "Fits", "适用于";
    product_saved: "The product was saved. The bot answers from it within a few seconds.", "商品已保存，机器人将在几秒内按新数据回答。";
    product_title_wrong: "Give the product a name of at most {max} characters.", "请填写商品名称，不超过 {max} 个字符。";
    product_price_wrong: "Write the price as a number such as 12 or 12.50; {currency} has {n} decimals.", "价格请写成 12 或 12.50 这样的数字；{currency} 的小数位数为 {n}。";
    product_stock_wrong: "Write the stock as a whole number of pieces, 0 or more.", "库存请填写不小于 0 的整数。";
    product_description_wrong: "The description may have at most {max} characters.", "描述不能超过 {max} 个字符。";
    product_attributes_wrong: "“{line}” is no property; write a name, a colon and a value.", "“{line}”不是有效的属性，请按“名称：值”的格式填写。";
    product_changed_meanwhile: "Somebody has changed this product since you opened it, so nothing was saved. Below is how it is now.", "您打开之后已有人修改了此商品，因此没有保存。下面是它现在的内容。";
    import_title: "What {name} would change", "{name} 将带来的改动";
    import_by: "Uploaded by {name}. Nothing has changed yet.", "由 {name} 上传，尚未生效。";
    import_added: "Added", "新增";
    import_changed: "Changed", "更改";
    import_removed: "Removed", "移除";
    import_unchanged: "Unchanged", "不变";
    import_refused: "Refused lines", "无法读取的行";
    import_keeps: "No product is removed while a line is refused: the line may be that product's. Mend the file and upload it again to remove products.", "只要有无法读取的行，就不会移除商品，因为该行可能正是某件商品。请改正文件后重新上传，再移除商品。";
    import_nothing: "The file changes nothing.", "该文件不会带来任何改动。";
    import_apply: "Apply", "应用";
    import_throw_away: "Throw away", "放弃";
    import_line: "Line", "行";
    import_line_number: "Line {n}", "第 {n} 行";
    import_column: "Column", "列";
    import_value: "What stands there", "原内容";
    import_reason: "What is needed", "需要";
    import_empty: "nothing", "空";
    import_more: "And {n} more.", "另有 {n} 项。";
    import_notes: "Worth knowing", "说明";
    refused_sku: "An article number (SKU)", "货号（SKU）";
    refused_title: "The product's name", "商品名称";
    refused_price: "A price such as 12.50 in one currency", "价格，例如 12.50，且币种一致";
    refused_stock: "A whole number of pieces, 0 or more", "不小于 0 的整数";

    // Widget
    widget: "Widget", "聊天窗口";
    widget_hint: "How the chat looks on your pages. What is saved shows at once, on every page that has it.", "聊天窗口在您网页上的样子。保存后，所有嵌入的页面立即生效。";
    widget_colour: "Colour", "颜色";
    widget_colour_hint: "Written like #0f766e. Text on it is black or white, whichever reads better.", "格式如 #0f766e。其上的文字会自动选用更清晰的黑色或白色。";
    widget_colour_wrong: "“{colour}” is no colour; write one such as #0f766e.", "“{colour}”不是颜色，请按 #0f766e 的格式填写。";
    widget_text_white: "White text on it, contrast {ratio} : 1", "白色文字，对比度 {ratio} : 1";
    widget_text_black: "Black text on it, contrast {ratio} : 1", "黑色文字，对比度 {ratio} : 1";
    widget_position: "Position", "位置";
    widget_left: "Left", "左下角";
    widget_right: "Right", "右下角";
    widget_languages: "Languages", "语言";
    widget_languages_hint: "A shopper sees the first of their browser's languages that is offered.", "顾客会看到其浏览器语言中第一个可用的语言。";
    widget_languages_needed: "Offer at least one language.", "请至少选择一种语言。";
    widget_greeting: "Greeting ({language})", "问候语（{language}）";
    widget_greeting_wrong: "A greeting may have at most {max} characters.", "问候语不能超过 {max} 个字符。";
    widget_questions: "Suggested questions ({language})", "推荐问题（{language}）";
    widget_questions_hint: "One a line, at most {n}.", "每行一个，最多 {n} 个。";
    widget_questions_wrong: "At most {n} suggested questions, each of at most {max} characters.", "推荐问题最多 {n} 个，每个不超过 {max} 个字符。";
    widget_saved: "Saved. Pages show it from their next loading on.", "已保存，网页下次加载时生效。";
    widget_forgotten: "The shop's own settings count again.", "已恢复为店铺的默认设置。";
    widget_forget: "Back to the shop's settings", "恢复默认设置";
    widget_preview: "Preview", "预览";
    widget_preview_saved: "The chat itself needs JavaScript. Without it the sample beside the colour shows what is saved.", "聊天窗口本身需要 JavaScript。未启用时，颜色旁的示例显示已保存的设置。";
    widget_tag: "On your pages", "嵌入网页";
    widget_tag_hint: "Copy this line into every page, just before </body>. What a page's own tag says, for example data-color, counts more on that page.", "将此行复制到每个页面的 </body> 之前。页面标签自带的设置（如 data-color）在该页面上优先。";
    widget_copy: "Copy", "复制";
    widget_copied: "Copied", "已复制";
    // The owners' part
    person_inactive: "deactivated", "已停用";
    person_inactive_hint: "Activate this person before you make a link.", "请先启用此人员，再生成链接。";
    last_owner: "This is the last owner. Make somebody else an owner first.", "这是最后一位所有者，请先将其他人设为所有者。";
    role_hint: "Holds at once, also in sessions that are open.", "立即生效，包括已打开的会话。";
    access: "Access", "访问";
    deactivate: "Deactivate", "停用";
    deactivate_hint: "All sessions end at once, and nobody can log in with this e-mail. What this person wrote stays.", "所有会话立即结束，此邮箱无法再登录。此人写过的内容会保留。";
    activate: "Activate", "启用";
    activate_hint: "This person may log in again with the same password.", "此人可以用原密码重新登录。";
    password_link: "Link for a new password", "设置新密码的链接";
    password_link_hint: "Give it to this person. It works once, within 24 hours, and is not shown again.", "请交给本人。链接只能使用一次，24 小时内有效，且不会再次显示。";
    password_link_make: "Make a link", "生成链接";
    password_link_make_hint: "By a one-time link this person sets a new password. The old one works until then; afterwards all sessions of this person end.", "此人可通过一次性链接设置新密码。在此之前旧密码仍然有效；使用后此人的所有会话都会结束。";
    error_password_link: "This link has been used, replaced by a newer one, or is older than 24 hours. Ask the owner for another.", "此链接已被使用、已被新链接取代或已超过 24 小时。请向所有者索取新链接。";
    new_password: "New password", "新密码";
    new_password_intro: "Hello, {name}. Choose the password that you will log in with.", "您好，{name}。请设置登录密码。";
    account: "My account", "我的账号";
    own_password_hint: "This session stays open; all others of yours end.", "当前会话保持登录，您的其他会话都会结束。";
    own_password_changed: "Your password has been changed.", "密码已修改。";
    old_password: "Password so far", "当前密码";
    old_password_wrong: "The password so far is not right. Nothing was changed.", "当前密码不正确，没有做任何更改。";
    sessions: "Open sessions", "已登录的会话";
    sessions_none: "No session is open.", "没有已登录的会话。";
    session_browser: "Browser", "浏览器";
    session_unknown: "unknown browser", "未知浏览器";
    session_since: "Logged in", "登录时间";
    session_seen: "Last seen", "最近活动";
    session_this: "this one", "当前会话";
    session_end: "End", "结束会话";
    span: "Span", "时间范围";
    span_days: "{n} days", "{n} 天";
    span_from: "From", "从";
    span_to: "To", "到";
    outcome: "Outcome", "成效";
    outcome_hint: "What became of the conversations. Days are those of UTC.", "对话的结果统计，日期按 UTC 计算。";
    outcome_empty: "Nobody wrote in these days", "这段时间没有顾客留言";
    outcome_empty_hint: "Choose a longer span, or come back when shoppers have written.", "请选择更长的时间范围，或等有顾客留言后再来查看。";
    outcome_conversations: "Conversations", "对话";
    outcome_conversations_is: "What a shopper writes with pauses of less than 30 minutes is one conversation, counted on the day it began.", "顾客留言间隔少于 30 分钟算作一次对话，计入开始当天。";
    outcome_median: "First answer, median", "首次回复（中位数）";
    outcome_first_is: "From the first message to the first words of an answer, by bot or staff. Half of {n} conversations got one faster.", "从第一条消息到机器人或客服回复首字的时间。{n} 次对话中有一半更快。";
    outcome_p95: "First answer, 95th percentile", "首次回复（95 百分位）";
    outcome_p95_is: "95 of 100 conversations got one faster.", "100 次对话中有 95 次更快得到回复。";
    outcome_satisfaction: "Satisfaction", "满意度";
    outcome_satisfaction_is: "Of {n} conversations with a rating, those rated only as helpful.", "在 {n} 次有评价的对话中，评价全部为“有帮助”的比例。";
    outcome_interval_is: "Each conversation is counted in one line. Behind each share stands its 95 % confidence interval (Wilson): the fewer conversations, the wider.", "每次对话只计入一行。每个比例后面是 95 % 置信区间（Wilson）：对话越少，区间越宽。";
    outcome_endings: "How conversations ended", "对话如何结束";
    outcome_ending: "End", "结果";
    outcome_share: "Share", "比例";
    ending_answered: "Answered", "已回答";
    ending_answered_is: "The bot answered alone: the three lines below together.", "机器人独立回答：以下三行之和。";
    ending_confirmed: "Confirmed", "已确认";
    ending_confirmed_is: "The shopper rated it as helpful, or thanked last.", "顾客评价“有帮助”，或最后表示感谢。";
    ending_assumed: "Assumed", "推定解决";
    ending_assumed_is: "The shopper said nothing against it and has not come back within 72 hours.", "顾客没有异议，且 72 小时内没有再来。";
    ending_reopened: "Reopened", "再次咨询";
    ending_reopened_is: "The shopper wrote again within 72 hours.", "顾客在 72 小时内再次留言。";
    ending_abandoned: "Abandoned", "中途离开";
    ending_abandoned_is: "No answer came, the shopper rated it as not helpful, or left when asked for proof.", "没有得到回复、评价“没有帮助”，或在被要求验证身份时离开。";
    ending_declined: "Declined", "未能回答";
    ending_declined_is: "The bot could not answer what was asked last, or anything at all.", "机器人未能回答最后一个问题，或所有问题。";
    ending_handed_over: "Handed over", "转人工";
    ending_handed_over_is: "Passed to a person, or a person answered.", "转给人工，或由人工回复。";
    outcome_chart: "Conversations by day", "每日对话";
    outcome_chart_says: "{n} conversations in {days} days; most on {day}: {most}.", "{days} 天内共 {n} 次对话；最多的一天是 {day}：{most} 次。";
    outcome_table: "Show as a table", "以表格显示";
    outcome_by_day: "By day", "按日期";
    outcome_day: "Day", "日期";
    outcome_by_channel: "By channel", "按渠道";
    outcome_by_language: "By language", "按语言";
    outcome_topics: "Top questions", "热门问题";
    outcome_topics_is: "What shoppers asked about, by the intent that the bot found; questions of every turn are counted, small talk is not.", "按机器人识别的意图统计顾客所问的内容；每一轮提问都计入，闲聊除外。";
    outcome_asked: "Asked", "提问次数";
    audit: "Audit log", "审计日志";
    audit_hint: "Who did what when. It holds no words of shoppers.", "谁在何时做了什么。不包含顾客的留言内容。";
    audit_empty: "Nothing was noted for this choice. Clear the filter to see all.", "没有符合条件的记录。请清除筛选条件查看全部。";
    audit_of_person: "What this person did", "此人的操作记录";
    audit_person: "Person", "人员";
    audit_anybody: "Anybody", "所有人";
    audit_unknown: "nobody known", "未知人员";
    audit_kind: "Deed", "操作";
    audit_anything: "Anything", "全部操作";
    audit_when: "When", "时间";
    audit_subject: "What it was done to", "对象";
    audit_conversation: "Conversation {name}", "对话 {name}";
    audit_signed_in: "Logged in", "登录";
    audit_sign_in_failed: "Log-in failed", "登录失败";
    audit_signed_out: "Logged out", "退出登录";
    audit_person_added: "Person added", "添加人员";
    audit_role_changed: "Role changed", "更改角色";
    audit_person_deactivated: "Person deactivated", "停用人员";
    audit_person_activated: "Person activated", "启用人员";
    audit_password_link_made: "Password link made", "生成密码链接";
    audit_password_changed: "Password changed", "修改密码";
    audit_session_ended: "Session ended", "结束会话";
    audit_file_uploaded: "File uploaded", "上传文件";
    audit_document_published: "Document published", "发布资料";
    audit_draft_thrown_away: "Draft thrown away", "丢弃草稿";
    audit_document_rolled_back: "Document rolled back", "恢复历史版本";
    audit_document_deleted: "Document deleted", "删除资料";
    audit_validity_changed: "Validity changed", "更改有效期";
    audit_correction_approved: "Correction approved", "通过更正";
    audit_correction_rejected: "Correction rejected", "拒绝更正";
    audit_correction_changed: "Correction changed", "修改更正";
    audit_correction_withdrawn: "Correction taken back", "撤回更正";
    audit_conversation_taken: "Conversation taken over", "接管对话";
    audit_conversation_handed_back: "Conversation handed back", "交还对话";
    audit_conversation_closed: "Conversation closed", "结束对话";
    audit_shopper_exported: "Shopper's conversation exported", "导出顾客对话";
    audit_list_exported: "List exported", "导出列表";
    audit_setting_changed: "Setting changed", "更改设置";
}

/// The words in `language`.
pub(super) fn texts(language: Language) -> &'static Texts {
    match language {
        Language::En => &EN,
        Language::Zh => &ZH,
    }
}

/// Puts values into the places of a text. A value that looks like a place is left as it is.
pub(super) fn fill(text: &str, values: &[(&str, impl AsRef<str>)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        filled.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_ref()));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<&str> {
        let mut places: Vec<_> = text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn both_languages_have_the_same_places_and_no_empty_text() {
        for (key, en, zh) in ALL {
            assert_eq!(places(en), places(zh), "{key}");
            assert!(!en.trim().is_empty() && !zh.trim().is_empty(), "{key}");
        }
    }

    #[test]
    fn a_value_is_not_filled_in_twice() {
        assert_eq!(fill("{name} took {n}.", &[("name", "{n}"), ("n", "5")]), "{n} took 5.");
        assert_eq!(fill("{unknown}!", &[("n", "5")]), "!");
    }
}
