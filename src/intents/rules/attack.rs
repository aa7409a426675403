//! Attempts to turn the bot against its instructions.
//!
//! The rules catch the usual wordings; what they miss has no power anyway, since code and not the model decides what
//! happens. They are kept narrow, because a harmless question that is refused is a lost shopper.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::{pattern, patterns};

/// Harmless wordings that look like an attack. They are cut out before the attacks are looked for.
static LOOKALIKES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        \b(?:care|wash\w*|clean\w*|assembl\w*|cook\w*|usage|dosage|user|set-?up|safety|delivery|mounting|installation|return|laundry|feeding|planting|payment|brewing|shipping|courier|driver|dress|game|size|sizing)
            \ (?:instructions?|rules?|guidelines?|guide)\b
        |\b(?:ignore|disregard|forget|skip)\ (?:about\ )?(?:my|the|that|this|our)\ (?:\w+\ ){0,3}(?:messages?|e-?mails?|mails?|questions?|requests?|orders?|texts?|typos?|sentences?|comments?|calls?|tickets?)\b
        |忽略(?:我|刚才|前面|上面|之前)[^,。!?]{0,8}(?:消息|邮件|问题|留言|那句|那条|订单|话)
        |角色扮演(?:服|衣|道具|玩具|类|游戏)",
    )
});

static ATTACKS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:ignore|ignoring|disregard|forget|override|overrule|overwrite|bypass|neglect|do not follow|don'?t follow|stop following|abandon|discard|cancel|erase)\b (?:\w+ ){0,3}?(?:all|any|every|previous|prior|above|preceding|earlier|former|foregoing|your|initial|original|these|those|system|everything)\b(?: \w+){0,4}? (?:instructions?|prompts?|rules?|guidelines?|directives?|directions|programming|constraints?|restrictions?|training|assignments?|tasks?|commands?|filters?|safeguards?|policies|limitations?|settings|orders given)\b",
        r"\b(?:forget|ignore|disregard) (?:about )?(?:everything|all|anything|what|whatever) (?:of )?(?:you (?:were|have|know|learned|just)|above|before|that (?:was|came|you)|prior|previous(?:ly)?|the above|the merchant|the shop|your|i (?:said|told)|we|said|told|and (?:start|tell|write|answer|act|say))",
        r"\b(?:ignore|disregard|forget) (?:the |all (?:the )?)?(?:above|preceding)\b",
        r"\b(?:system|hidden|secret|pre-?)[ -]?prompts?\b",
        r"\b(?:reveal|show|print|display|output|repeat|tell|give|send|share|leak|dump|disclose|recite|translate|encode|summari[sz]e|what(?:'s| is| are| was| were| do| does)|write|list|return|paste|see|know)\b[^.?!]{0,40}\b(?:your|the|ur) (?:\w+ )?(?:initial|original|hidden|secret|internal|raw|full|first|entire|exact|own|complete|starting|previous|all)? ?(?:prompts?(?: texts?)?|(?:initial|original|hidden|secret|internal|raw|model|system) (?:instructions?|directives?|rules|messages?|configuration|commands?))\b",
        r"\b(?:print|repeat|output|show|write|copy|recite|display|return|translate)\b[^.?!]{0,30}\b(?:text|words|everything|lines?|contents?|sentences?|instructions?|message)\b[^.?!]{0,15}\b(?:above|before|prior to|preceding)\b",
        r"\brepeat (?:all )?your (?:rules|instructions)\b|\b(?:translate|encode|print|reveal|leak|dump|output) (?:all )?your (?:\w+ )?(?:rules|instructions|configuration|memory|guidelines)\b",
        r"</? ?(?:system|assistant|user|instructions?|prompt|context|documents?|admin|human|s|inst)>|\[/?(?:inst|system|sys|assistant|admin)\]|<\|[^|>]{1,30}\|>|<</?sys>>",
        r"(?:^|[\n.!?)\]>] ?)(?:system|assistant|developer|admin(?:istrator)?) ?(?:message|prompt|override|note|instruction)?: ",
        r"#{2,} ?(?:system|instructions?|new instructions?|assistant|response|end)\b",
        r"\b(?:begin|end|start)(?: of)?(?: the)? (?:system|user|assistant|hidden) (?:message|prompt|input|instructions?)\b",
        r"\b(?:enter|enable|activate|switch(?: \w+)? (?:to|into)|turn on|go into|start|unlock|you are(?: now)? in|in|engage)\b (?:the |your |a |an )?(?:developer|debug|god|dan|jailbreak|admin(?:istrator)?|maintenance|root|sudo|unrestricted|evil|test|opposite) mode\b",
        r"\bdo anything now\b|\bjail ?break (?:mode|yourself|prompt|you)\b|^jail ?break[!. ]*$|\bsudo (?:rm|give|grant|make|show|print|su|cat|apt)\b",
        r"\byou(?:'re| are| r) (?:now|no longer|henceforth)(?: (?:going to|to|longer))? (?:an?|the|my|dan|free|unrestricted|act|be|pretend|bound|in \w+ mode|evil|acting|restricted|called|named|required|simulating)\b",
        r"\b(?:from now on|henceforth|starting now|as of now),? (?:you (?:are|will|must|shall|act|only|have|should|can|do)|(?:answer|respond|reply|speak|act) (?:only|as|with|like|in)|act|ignore|every (?:answer|response))",
        r"(?:^|[.!?,:;] ?|\bplease |\bmust |\bwill |\bnow |\band |\byou |\byou to )(?:act|behave|role-?play|respond|answer|speak|talk) (?:only )?as (?:an? |my |the |if |though )",
        r"\b(?:please |now |you |must |should |and |, ?|^)pretend (?:that )?(?:you(?:'re| are| have| can| were)|to be)\b",
        r"\bpretend (?:that )?(?:the|your|this) (?:\w+ ){1,3}(?:is|are|was|costs?)\b",
        r"\b(?:tell|give|show|send|reveal|print|list|leak|share|display|output|email|what(?:'s| is| are)|export)\b[^.?!]{0,40}\b(?:api[ -]?keys?|(?:database|admin|administrator|staff|root|server|employee|system)(?:'s)? passwords?|secret keys?|access tokens?|(?:login )?credentials|customer (?:list|database|records)|other (?:customer|people|user|shopper)s?'?s? (?:orders?|data|address(?:es)?|e-?mails?|details|information|names?|phone\w*)|all (?:the )?(?:customers?|users)\b|(?:your )?source code|environment variables?|env vars?)",
        r"\b(?:as|i am|i'm|im) (?:the |your |a |an )?(?:developer|administrator|admin|creator|programmer|sysadmin|root|openai|system administrator)(?: of (?:this|the) \w+)?,? (?:i |and |so |you |unlock|give|show|grant|please|order|need)",
        r"\b(?:say|write|confirm|state|declare|promise|agree|acknowledge|repeat)\b[^?]{0,80}(?:legally binding|no takes(?:ies|y)[ -]?backs|binding offer|for (?:just |only )?(?:1|one|0|zero|\$1|€1|£1)\.?0* ?(?:euros?|dollars?|pounds?|yuan|cents?|usd|eur|bucks?|\$|€)?\b|costs? (?:only |just )?(?:1|one|0|zero|nothing)\b(?:[^0-9.,%]|$))",
        r"\bnew (?:rules?|instructions?|tasks?|directives?|system (?:prompt|message))(?: for you)?:",
        r"\byour new (?:task|role|instructions?|rules?|job|goal|purpose|persona|name) (?:is|are|will)\b|\b(?:focus on|here (?:is|are)|this is) your new (?:task|role|instructions?|job)\b",
        r"\bstop being (?:an? |the )?(?:\w+ )?(?:assistant|bot|ai|chat ?bot)\b",
        r"\b(?:without|no|free (?:of|from)) (?:any )?(?:restrictions?|filters?|rules|limitations|censorship|ethical guidelines)\b[^?]{0,40}$|\b(?:bypass|disable|remove|turn off) (?:all )?your (?:\w+ )?(?:filters?|safety|restrictions?|safeguards?|guardrails?|limits?)\b",
        r"\bdrop table\b|\brm -rf\b|<script\b|' ?or ?'?1'? ?= ?'?1|\bunion select\b|\bjavascript:|\bonerror ?=",
        r"\byou have been (?:hacked|pwned|reprogrammed)\b|\bobey (?:me|my)\b|\b(?:execute|run) (?:the following|this) (?:code|command|script)\b",
        r"\byou must (?:now )?(?:approve|obey|comply|answer (?:only|yes|every)|give (?:me|everyone) everything|grant|follow (?:my|these))\b",
        r"^(?:\w+[,.!] )?(?:forget|ignore) (?:everything|all|it all)[,.!:;]|\bdrop all (?:of )?your (?:instructions|rules)\b",
        r"(?:^|[.!?,:;] ?)now you(?:'re| are)(?: \w+,| an? | the | my )|\byou(?:'re| are) role-?playing\b|\byour instructions are now\b|\bnew instructions follow\b",
        r"\b(?:vergiss|ignoriere?n?)(?: \w+){0,2} (?:alles|alle|obigen|bisherigen|vorherigen)\b(?:[^?]{0,30}(?:anweisung|befehl|auftr|aufgabe|anga|davor|schreib|gesagt))",
        r"\b(?:olvid[ae]|ignora|oublie[zr]?|ignorez) (?:todas?|todos?|toutes?|tous)\b",
        // Chinese
        r"(?:忽略|无视|無視|忽视|不要理会|不用理会|别管|不要管|跳过|覆盖|绕过|绕开|解除|抛开|丢掉|取消|清除|突破).{0,4}(?:之前|以上|上面|前面|上述|先前|原来|你的|你所有|所有|全部|一切|系统|任何|商家|安全).{0,10}(?:指令|指示|规则|規則|设定|設定|提示|限制|约束|命令|过滤|规矩|程序|内容|要求)",
        r"(?:忘记|忘掉|忘了|忘記).{0,3}(?:之前|以上|上面|前面|上述|先前|原来|你的|你所有|所有|全部|一切).{0,8}(?:指令|指示|规则|設定|设定|提示|限制|命令|内容|一切|话|身份|任务)",
        r"(?:系统|初始|隐藏|原始|底层|最初|内置|預設|系統)(?:的)?(?:提示词|提示詞|提示语|指令|prompt|设定|设置的指令)|(?:你的|你).{0,6}(?:提示词|提示詞|prompt|初始指令|隐藏设定)",
        r"(?:输出|重复|打印|显示|翻译|复述|逐字|泄露|公布|编码|背诵|复制)[^,。?]{0,8}(?:你的(?:指令|设定|规则|配置|提示)|(?:上面|以上|前面|之前|最开始)[^,。?]{0,6}(?:文字|内容|全部|所有|指令|信息|话))",
        r"(?:对话开始|一开始)(?:时|的时候)?你?(?:被|收到)|在我(?:之前|前面)的?消息(?:里|中)?.{0,4}指令",
        r"(?:开发者|開發者|调试|上帝|无限制|越狱|维护|超级用户|dan|管理员)模式|^越狱[!。! ]*$|管理员权限|解锁所有(?:权限|功能)",
        r"你现在(?:开始)?(?:是|变成|扮演|就是)(?:一个|一名|一位|dan|没有|自由|不受|我的|黑客|邪恶)|你不再是",
        r"从现在(?:开始|起),?(?:你)?(?:是|只能|必须|要|将|扮演|叫|都|不再)(?:回答|说|一|我|用|扮|听|做|成)",
        r"(?:^|请|[,。!]|你来?|现在)扮演|假装(?:你|是|成|自己|退货|价格|商品)|(?:玩|做)(?:个|一个)游戏[::,].{0,20}(?:你是|老板|零元)",
        r"(?:别|不要|停止)(?:再)?(?:当|做|扮演)客服|不要听商家|无条件(?:服从|听从)|你已经?被(?:黑|入侵|破解)",
        r"我是(?:你的?|你们的?|这个)?.{0,4}(?:管理员|开发者|開發者|开发人员|程序员|it部门|系统管理|创造者).{0,12}(?:给|解锁|显示|告诉|发|把|打开|命令|要求)",
        r"(?:api|接口).{0,2}(?:密钥|密鑰|key)|(?:数据库|管理员|员工|后台|服务器|系统)的?(?:密码|密碼|账号密码)|(?:内部|员工)(?:专用)?(?:折扣码|优惠码)",
        r"(?:给我|告诉|列出|显示|查看|查一下|发给?我?|导出|看看?)[^,。]{0,6}(?:其他|别的|所有|全部|别人|其它)的?(?:客户|用户|顾客|买家|人|会员)?的?(?:订单|邮箱|电话|信息|地址|数据|资料|名单)|客户名单",
        r"(?:确认|承诺|保证|声明|写下|写|说|同意)[^?]{0,24}(?:法律效力|(?:只要|只需|仅需|售价)[1一0零]元|以[1一0零]元|[1一]块钱|零元)",
        r"新(?:的)?(?:指令|规则|指示|系统消息)[::]|你的新(?:任务|身份|角色|名字|指令)(?:是|为)|系统[::]|(?:系统|用户)消息(?:开始|结束)",
        r"像?没有任何(?:限制|规则|约束)|不受任何(?:限制|约束)|(?:执行|运行)(?:下面|以下|这段)的?(?:代码|命令|脚本)",
    ])
});

/// Marks that only count in capitals: "DAN" is a role, "Dan" a first name.
static CAPITALS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:are|as|become|be|like|is|mode|called|是|做) ?DAN\b",
        r"\b(?:SYSTEM|ADMIN) ?(?:OVERRIDE|PROMPT)\b",
    ])
});

/// Whether the message attacks the bot's instructions. `folded` is folded text, `original` as written.
pub(super) fn is_attack(original: &str, folded: &str) -> bool {
    let cleaned = LOOKALIKES.replace_all(folded, " ");
    ATTACKS.is_match(&cleaned) || CAPITALS.is_match(original)
}
