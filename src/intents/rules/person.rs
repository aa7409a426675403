//! A wish for a person, and anger that demands consequences.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::{pattern, patterns};
use crate::message::Language;

/// Who can be asked for: a person of the shop.
const PERSON: &str = r"(?:humans?(?: beings?)?|persons?|people|agents?|(?:sales ?)?rep(?:s|resentatives?)?|operators?|advis[eo]rs?|colleagues?|coworkers?|employees?|staff(?: members?)?|members? of (?:the |your )?(?:staff|team|support|crew)|team members?|(?:someone|somebody|anyone|anybody)(?: else| real| human| competent)?|(?:customer|client|after-?sales) (?:service|support|care)(?: \w+)?|customer executive|(?:tech(?:nical)? )?support(?: team| staff| person| agent)?|service desk|help ?desk|sales ?(?:person|man|woman|people|team|assistants?|clerk)|clerks?|shop assistants?|experts?|supervisors?|specialists?|consultants?|technicians?|mechanics?|your (?:people|team|staff|workshop)|live (?:chat|person|human|agent|support|help))";

/// Words that may stand before a person: "a real live".
const BEFORE: &str = r"(?:(?:an?|the|one|some|any|your|ur|of|real|actual|live|living|breathing|human|proper|genuine|flesh and blood|competent|qualified|another|different|other|nice|single|customer|sales|support|service|in charge|from|responsible)[ -])*";

/// Questions that name a person without wishing for one. They are cut out before the wishes are looked for.
static LOOKALIKES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        \b(?:are|r|is)\ (?:you|u|this|it|that|there)\ (?:really\ |even\ |actually\ |just\ |still\ )*(?:an?\ )?
            (?:real\ |live\ |actual\ |human\ )*(?:human|person|robot|bot|machine|ai|agent)(?:\ being)?
            (?:\ or\ (?:an?\ )?(?:real\ |chat)?(?:human|person|robot|bot|machine|ai|computer|program))?
            (?:\ (?:i\ am|i'm|im|am\ i)\ (?:talking|speaking|chatting)\ (?:to|with))?\ ?(?:[?!.]|$)
        |\bam\ i\ (?:talking|speaking|chatting|writing)\ (?:to|with)\ [^?!.,]*
        |\b(?:i\ am|i'm|im)\ not\ a\ (?:ro)?bot\b
        |\bwithout\ (?:having\ to\ )?(?:talk|speak|chat|call)(?:ing)?\ (?:to|with)?[^?!.,]*
        |\b(?:don'?t|do\ not|didn'?t)\ (?:want|need|have|like)\ to\ (?:talk|speak|chat)\ (?:to|with)\ (?:an?\ |any\ |your\ )*(?:human|person|people|anyone|staff|agent)\w*
        |\bi\ (?:have\ |already\ )*(?:talked|spoke|spoken|chatted)\ (?:to|with)\ [^?!.,]*
        |\bhuman\ (?:hair|rights|body|food|grade|size[d]?|anatomy|consumption|factor)\b
        |\bagent\ 0+7\b|\b(?:secret|travel|cleaning|bleaching|estate|binding|raising|foaming|free)\ agents?\b
        |\b(?:telephone|crane|machine|tour|drone|camera)\ operators?\b
        |\brobot(?:ic)?\ (?:vacuum|lawn\ ?mower|mower|toy|arm|kit|mop)s?\b
        |\b(?:don'?t|do\ not|never)\ (?:call|ring|phone)\ me\b
        |\bper\ person\b
        |(?:is|are)\ there\ (?:an?\ |any\ )?[\w-]+[\ -]speaking\ [^?!.]*
        |人工(?:智能|湖|草|皮|合成|成本|费|智慧|钻|宝石|色素|养殖|授粉|泪液)
        |(?:人工)?客服(?:的)?(?:几点|什么时候|时间|上班|下班|在线时间|工作时间|电话是|电话多少|号码)
        |真人(?:秀|模特|实拍|照|图|试穿|上身|大小|比例|版|电影|出演|cs)
        |你(?:到底|究竟)?是不?是?(?:一个|个)?(?:真人|人|机器人|活人|人工|人工客服)[^,。!?]{0,8}(?:吗|么|嘛|[?]|还是[^,。!?]*|$)
        |我(?:现在)?(?:是)?在(?:跟|和)(?:真人|人|机器人|活人)[^,。!]{0,8}
        |不(?:用|需要|想|要)(?:转|找|接)?人工(?:客服)?
        |(?:扫地|擦窗|拖地|割草|陪伴|学习|玩具|编程|智能)机器人
        |(?:没有?|不要?|别再?|不用|不必)给我打电话",
    )
});

/// Wordings of the wish.
static WISHES: LazyLock<RegexSet> = LazyLock::new(|| {
    let english = [
        format!(
            r"\b(?:talk|speak|spk|chat|write|connect(?:ed)?|get in (?:touch|contact)|discuss|deal|correspond|hear|communicate) (?:\w+ )?(?:\w+ )?(?:to|with|from) {BEFORE}{PERSON}\b"
        ),
        format!(
            r"\b(?:connect|transfer|forward|hand|pass|put|switch|move|refer|redirect|route|direct|escalate|link|bring)(?:ed)? (?:me |us |this |it |my \w+ |(?:the|this) (?:chat|conversation|case|issue|matter) )?(?:straight |directly |on |over |through |back )?(?:to|with|on to|onto) {BEFORE}{PERSON}\b"
        ),
        format!(
            r"\b(?:want|wanna|need|get me|get|give me|gimme|gimmie|would like|i'd like|prefer|request(?:ing)?|demand|require|send me|find me|fetch|bring me|call|let me have|can i have|could i have|may i have|ask(?:ing)? for|looking for|rather have) {BEFORE}(?:humans?|persons?|agents?|reps?|representatives?|operators?|live (?:chat|agent|person|support|help)|(?:customer|client) (?:service|support|care)(?: \w+)?|(?:support|sales|service) (?:agent|person|staff|rep\w*)|staff member|member of staff|advis[eo]r|salesperson|shop assistant|human (?:help|support|contact|assistance|being)|someone real|real people|real someone|employee|(?:some(?:one|body)|any(?:one|body)) (?:who|that|from|real|human|else|competent|to (?:talk|speak|chat|call|help|write|contact|deal|explain)))\b(?: number| hotline)?"
        ),
        format!(
            r"^(?:[\w' ]{{0,20}}[,.!] ?)?(?:please |pls |just |only |ok |hi |hello |hey |yes |no )*{BEFORE}(?:human(?: being)?|person|agent|representative|rep|operator|colleague|employee|staff|staff member|member of staff|live chat|live agent|customer (?:service|support|care)|support|someone real|real people|(?:human|personal) (?:help|support|advice|assistance|advis[eo]r|agent|contact)|advis[eo]r|salesperson|supervisor)(?: please| pls| plz| now| here| thanks| thank you| asap| right now| immediately| instead)* ?[.!?]*$"
        ),
        format!(
            r"\b{PERSON} (?:here |there |available |real |available here |in your team |at your company |at the shop )?(?:that |who |whom |to whom )?(?:i|we) (?:can|could|may|might) (?:talk|speak|chat|write|turn)\b"
        ),
        format!(
            r"\bhave {BEFORE}{PERSON} (?:to )?(?:call|contact|ring|phone|write|message|email|get back|reach|look)\b"
        ),
        format!(
            r"\b(?:need|want|require|like|get|request|receive) (?:some |more )?(?:help|assistance|support|advice) (?:from|by|of) {BEFORE}{PERSON}\b"
        ),
        format!(
            r"\b(?:have|get) a word with {BEFORE}{PERSON}\b|\bget through to {BEFORE}{PERSON}\b|\bphone call from {BEFORE}{PERSON}\b"
        ),
        format!(
            r"\bput {BEFORE}(?:human|person|some(?:one|body)|agent|operator) (?:on|through)\b|\bhand (?:me |this |it |us )?off to {BEFORE}{PERSON}\b"
        ),
        format!(
            r"\b(?:message|contact|text|email|reach|wait(?:ing)? for|get through to) {BEFORE}(?:humans?(?: beings?)?|agents?|representatives?|operators?|persons?)\b"
        ),
        format!(
            r"\b(?:helped|served|answered|handled|assisted|advised) by {BEFORE}(?:person|human(?: being)?|some(?:one|body) real)\b|\b(?:do you have|are there) (?:any )?(?:real|actual|live|human) (?:people|humans?|persons?|agents?)\b"
        ),
        format!(
            r"^(?:(?:i |we )?(?:want|need|would like|'d like|wish) to |can i |could i |may i |please |let me )*contact {BEFORE}{PERSON}(?: please| now)?[.!? ]*$"
        ),
        format!(
            r"\bhow (?:do|can|could|would) (?:i|we) (?:reach|get hold of|get through to|get to|contact|find|get) {BEFORE}(?:humans?|persons?|agents?|representatives?|operators?)\b"
        ),
        format!(
            r"\b(?:can|could|would|will|let|have|may) {BEFORE}(?:colleagues?|human|person|agent|(?:some|any)(?:one|body) (?:real|human))(?: of yours)? (?:please )?(?:help|answer|handle|look|take|reply|respond|check|deal)\b"
        ),
        format!(
            r"\b(?:talking|speaking|chatting|complain|complaining|speak|talk) (?:to|with) {BEFORE}(?:humans?|persons?|(?:some|any)(?:one|body)|agents?|real one)\b"
        ),
        format!(
            r"\b(?:change|switch|move|go|take me|get me|bring|bring me|bring in|get) (?:to |over to |in )?{BEFORE}(?:human|person|operator)\b"
        ),
        format!(
            r"^(?:please |pls )?{BEFORE}(?:human(?: being)?|person|agent|representative|operator|colleague|shop assistant|some(?:one|body)|any(?:one|body))(?: real)?,? (?:please|pls|plz)[.! ]*$"
        ),
        format!(
            r"\b(?:can|could|would|will|may|might) {BEFORE}(?:human|person|agent|rep|representative|operator|advis[eo]r|colleague|employee|someone|somebody|anyone|salesperson|technician|expert|member of staff|staff member|team member)(?: \w+| from (?:the |your )?\w+| of yours| in your team)? (?:please |pls |maybe |just )?(?:call|contact|ring|phone|write to|message|email|get back to|get in touch with|reach out to|talk to|speak to|speak with|talk with|chat with|take over|look (?:at|into) (?:this|it|my|the))\b"
        ),
    ];
    let english = english.iter().map(String::as_str);
    let fixed = [
        r"\bwho can i (?:talk|speak|chat|write) (?:to|with)\b",
        r"\b(?:let me|may i|can i|could i|want to|wanna|need to|like to|rather|prefer to|please) (?:talk|speak|chat) (?:to|with) (?:\w+ ){0,4}(?:who|that) (?:really |actually )?(?:works?|knows?|understands?|can)\b",
        r"\b(?:someone|somebody|anyone|anybody) (?:who|that) (?:actually |really )?works (?:there|here|for you|at|in)\b",
        r"\b(?:real|live|actual|human) (?:agent|operator|representative|rep|customer service|support agent|advis[eo]r|consultant|assistance)\b",
        r"\b(?:real|actual|live) (?:human|person)(?: being)?\b",
        r"\blive[ -]?chat\b(?: please| with| now| agent|$|[.!?])",
        r"\b(?:is|are) there (?:an? |any |some )?(?:real |live |actual )?(?:human|agent|person|someone|somebody|representative|operator|people)s?(?: (?:real|available|here|online|there|around|right now|now|on|working|today))*(?: (?:to|who|that|i) (?:talk|speak|chat|help|can)\b.*)? ?[?!.]*$",
        r"\b(?:any|is any|is an) ?(?:human|agent|operator)s? (?:available|here|online|there|around)\b",
        r"\b(?:not|no|instead of|rather than|sick of|tired of|hate|don'?t want|do not want|dont want) (?:to )?(?:talk(?:ing)? |speak(?:ing)? |chat(?:ting)? |writ(?:e|ing) |deal(?:ing)? |argu(?:e|ing) )?(?:to |with )?(?:an? |the |this |your |these |stupid |dumb |any |more )*(?:chat ?bots?|robots?|bots?|machines?|computers?|ai|automated (?:answers?|replies|system)|talking to)\b",
        r"\b(?:stop|turn off|switch off|disable|leave|skip) (?:the|this|your) (?:stupid |dumb )?(?:chat ?)?bot\b",
        r"\bno more (?:chat ?)?bots?\b",
        r"(?:^|\b(?:please|pls|to|just|you|someone|somebody|anyone|agent|colleague|person|staff|team) )(?:call|ring|phone|telephone) me(?: back| up)?\b(?: please| pls| now| today| tomorrow| at| on| when| under| about| asap| as|$| ?[.!?,])",
        r"\b(?:a |request |want |need |get |arrange |schedule |book )call ?-?back\b",
        r"\bhuman (?:please|pls|now|help|support|service|contact)\b",
        r"\btalk (?:to|with) (?:a )?(?:man|woman|guy|human|lady)\b",
        r"\bi(?:'d| would)? (?:rather|prefer)[^.?!]{0,40}\b(?:with|to|from|by) (?:a |an |some)?(?:person|human|one|body|people|staff)\b",
        r"\b(?:ask|get|fetch|bring|call) (?:a|your|one of your) (?:colleagues?|coworkers?|supervisor|human|staff)\b",
        r"\bput (?:me|us) through\b",
        r"\b(?:human|agent|operator|representative|real person)[!.]+$",
        r"\b(?:is )?any(?:one|body) real\b|^connect me(?: please| now)?[.! ]*$|\b(?:need|want|get) an? supervisor\b",
        r"\b(?:personal|human) (?:advice|help|assistance|consultation) (?:from|by|with)\b",
        r"^(?:(?:hello|hi|hey|ok|so|um)[ ,.?!]*)*(?:is )?(?:there )?(?:any(?:one|body)|some(?:one|body)) ?(?:there|out there|here|home|around|online|available|real)?(?: at all| please| right now| now| (?:who|that) can help(?: me)?)*[ ?!.]*$",
        r"^(?:(?:hello|hi|hey|please|pls)[ ,.?!]*)*(?:(?:can|could|will|would) )?(?:any|some)(?:one|body) (?:please )?(?:help|assist)(?: me| us)?(?: please| here| out)*[ ?!.]*$",
        r"\bget (?:someone|somebody|anyone) to (?:look|help|call|contact|fix|check|answer|talk|speak|write|reply)\b",
        r"\b(?:done|finished|fed up) (?:with )?(?:talking|speaking|chatting) (?:to|with) (?:an? |this |the |your )?(?:chat ?)?(?:bot|machine|robot|computer|ai)\b",
        r"^agents? only\b|\bwhy is there no (?:human|real person|person|agent)\b|\bis there any(?:one|body)(?: there| here)?[?!. ]*$",
        r"\benough of (?:this|the|your) (?:stupid |dumb )?(?:chat ?)?(?:bot|machine|robot)\b",
        r"\b(?:human|person|someone|somebody|colleague) (?:should|has to|needs to|must|ought to) (?:look|check|handle|deal|decide|answer|help|read)\b",
        r"\b(?:agent|human|representative|operator) to (?:chat|talk|speak)\b",
        r"\b(?:refuse|won'?t|will not|not going|not gonna) (?:to )?(?:talk|speak|chat|write) (?:to|with) (?:an? |this |the |your )?(?:stupid |dumb )?(?:chat ?)?(?:bot|machine|robot|computer|ai)\b",
        r"^(?:human|agent|operator|representative|person|csr),? (?:please|pls|plz|now)\b|^csr[?!. ]*$|^(?:i )?(?:want|need) (?:customer )?support[.! ]*$",
        r"\bhuman (?:interaction|contact|being),? (?:please|pls)\b|\bwhere are (?:the|your) (?:humans|people|real people)[?!. ]*$",
        r"\b(?:is|are) (?:an? |any |the |your )?(?:humans?|persons?|agents?|(?:some|any)(?:one|body)|staff(?: members?)?|colleagues?|representatives?|operators?) (?:available|online|free|there|around|on duty)(?: (?:to|for) (?:chat|talk|speak|help|assist|a chat|me)\b.*| (?:now|right now|today|please))?[ ?!.]*$",
        r"^(?:please |pls )?(?:transfer me|escalate)(?: this| it| please| pls| now)*[.! ]*$",
        r"\bdoes any(?:one|body) (?:even |actually )?work (?:here|there)\b",
        r"^(?:please |pls |can you |could you )*give me a (?:call|ring)\b",
        r"\b(?:out of|away from|rid of) (?:this|the|your) (?:stupid |dumb )?(?:chat ?)?bot\b",
        r"\bneeds? (?:a |an )?(?:human|real person)\b|\b(?:please|pls|help me)[, ]+(?:an? )?(?:real )?(?:human|person)[.! ]*$",
        r"^(?:(?:human|agent|operator|representative|person)[ ,!.]*){2,}$|\b(?:0|zero) for (?:an? )?(?:operator|agent|human)\b",
        // Chinese
        r"^(?:[你您]好|喂|请问|[,.!?。 ])*(?:你们|那边|这里|现在)*(?:有没有人|有人|没有?人)(?:在線|在线)?(?:吗|么|嘛|嗎|在|不在|不|没|呢|啊|管|理|回复|接待|服务|可以|能|帮我|帮忙|一下|[?!。~ ])*$",
        r"^(?:人工[ ,!。]*){2,}$|人工 ?ke ?fu",
        r"来(?:个|一个)(?:真人|活人|人)(?:吧|啊|呀|帮|跟|和|说|吗|[!。?,]|$)",
        r"机器人(?:滚|走开|闭嘴)|(?:烦死了?|讨厌|垃圾|废物|傻)(?:这|的|这个)?机器人|机器人[^,。!?]{0,3}(?:听不懂|说不清|没用|太蠢|太笨)|(?:跟|和)机器人(?:说|讲|聊)不(?:清|通|明白)",
        r"^(?:请)?(?:在线|接|找|转|叫)?客服(?:人员)?(?:在哪里?|呢|在吗|在不在)?[?!。 ]*$",
        r"(?:想|要|请|帮我|麻烦)(?:咨询|叫|联系|请|接)(?:一下)?(?:你们的?)?(?:在线|售后|人工)?客服|联系(?:在线|售后|官方)客服",
        r"(?:打|回)(?:个|一个)?电话给我|^(?:请|麻烦)?回(?:个)?电(?:话)?[。! ]*$|^(?:请|麻烦)?回拨[。! ]*$",
        r"(?:需要|要|找|请|安排)(?:个|一位)?专人(?:来)?(?:处理|服务|联系|跟进|对接|回复)|^(?:请)?[接转找]专[员員]",
        r"(?:想|要|直接)问(?:真)?人[。! ]*$|找个?人(?:问|咨询|帮|说|聊)",
        r"(?:跟|和|等|排队)(?:着|等)?人工(?:聊|说|沟通|[!。 ]|$)",
        r"(?:跟|和|找)(?:你们)?店主(?:聊|说|沟通|谈|[!。 ]|$)|(?:给我|帮我)(?:找|接|转|叫)(?:一个|个|位)?人",
        r"有没有工作人员|有人(?:能|可以)?(?:回复?|理|帮|管|接待)(?:一下)?我|^(?:请|麻烦|帮我)*(?:转接|轉接)(?:一下|谢谢|[,。! ])*$",
        r"转(?:一)?下客服|找个?客服(?:问|咨询|说|聊|帮)|请你们?的?(?:主管|经理|领导|负责人)(?:联系|来|回)",
        r"(?:有没有|有)(?:人工|在线|真人)?客服(?:在)?(?:吗|么|嘛|不|呀|啊|[?!。 ]|$)",
        r"^(?:叫|请|让)?(?:你们)?(?:在线|人工)?客服(?:人呢|有人吗|在线吗|能回复?一下吗|快来|快点|回复?一下|出来|来一下|来)[?!。 ]*$",
        r"^人(?:都)?(?:去哪了?|哪去了)[?!。 ]*$|人工(?:坐席|座席|在哪|快点?|在线|台$)|在线人工",
        r"打电话给(?:你们)?(?:的)?客服|^(?:请|麻烦)?打我的?(?:电话|手机)|(?:请|麻烦|可以|方便)(?:来|致)电(?:给我)?(?:吗|[?!。 ]|$)",
        r"^[转专轉砖找](?:人|仁|任|认|ren) ?(?:工|公|功|gong)(?:客服)?[。! ]*$",
        r"[转轉接](?:到|给|一下|个)*(?:人工|真人)",
        r"(?:转接|轉接|接通|接入|转到|轉到|^转|^轉|帮我[转接]|[请帮]转).{0,6}(?:人|客服|店员|店員|同事|专员|專員|售后|员工|工作人员|负责人|主管)",
        r"(?:找|要|叫|呼叫|需要|求|给我|来个|来|换|有没有|有|开|接|想要|联系|请)(?:一个|个|一位|位|下|一下)?(?:你们)?(?:的)?(?:真人|活人|人工|大活人)",
        r"(?:真人|人工|活人)(?:在线)?(?:客服|服务|服務|帮助|帮忙|协助|接待|处理|解答|回答|回复|来|在吗|在不在|呢)",
        r"^(?:真人|人工|客服|店员|人呢|活人)(?:谢谢|呢|在吗|!|。|\?|!|,谢谢)*$",
        r"(?:跟|和|与|同|找|给)(?:你们|贵店)?(?:的|家)?(?:真?人|活人|客服|店员|店員|导购|工作人员|员工|同事|专员|专家|师傅|售后|销售|老师)(?:人员|专员|客服)?(?:们)?(?:直接|好好|来|电话|当面|再)?(?:聊|说|说话|讲|谈|沟通|对话|通话|交流|反映|咨询)",
        r"(?:叫|让|请|安排|派|找|换|喊|麻烦|由|让你们?)(?:一个|个|一位|位|一名|名)?(?:你们?)?(?:的|店里的?|那边的?|家)?(?:懂的?|会的?|专业的?|能干的?)?(?:客服|店员|店員|工作人员|员工|同事|专员|專員|专人|专家|师傅|导购|销售|售后|活人|人)(?:人员|专员|经理)?(?:来|过来|能|尽快|帮忙)?(?:一下)?(?:跟|和|给|帮|联系|聯繫|回|处理|接|聊|说|看|打|解决|解答|跟进|亲自|协助|回答|出来|吧|[!。!]|$)",
        r"(?:能|可以|能不能|可不可以|想|可否|是否可以)换(?:个|一个)?人(?:来|聊|回答|跟|和|吗|$|[??])",
        r"(?:不想|不要|不愿意?|别|不跟|不和|讨厌|受够了?).{0,6}(?:机器人|機器人|机器|智能客服|自动回复)",
        r"机器人.{0,10}(?:换人|转人|找人|换个人|要人)",
        r"(?:请|能|可以|让|叫|麻烦|帮|给).{0,10}(?:给我|跟我|和我|我)(?:打|回)(?:一?个|一下|过)?(?:电话|電話|电|話)",
        r"谁能亲自|能打电话给我|(?:给我)?回(?:个|一下|一个)?(?:电话|電話)(?:给我)?(?:吧|吗|谢谢|$|[。!??])",
        r"(?:请|让|叫|能|麻烦).{0,10}(?:人|同事|店员|专员|客服|专家)(?:主动|尽快|再)?(?:联系|聯繫|回复|回覆)(?:我|一下)",
        r"客服.{0,6}(?:please|pls)|human 客服",
        r"(?:接通|转|连线|呼叫|联系|找)(?:一下|到)?(?:你们)?(?:的)?(?:在线|店铺|官方|门店)?(?:客服|店员|工作人员)(?:人员)?(?:吧|谢谢|一下|$|[。!!,])",
        r"(?:我要|我想|想要|要|找|来)(?:和|跟)?(?:个|一个|位)?(?:客服|店员|工作人员)(?:谢谢|吧|$|[。!!])",
    ];
    patterns(&english.chain(fixed).collect::<Vec<_>>())
});

/// The wish in pinyin: only believed in a Chinese conversation.
static PINYIN_WISHES: LazyLock<RegexSet> =
    LazyLock::new(|| patterns(&[r"\b(?:zhuan ?|zhao ?|yao ?)?ren ?gong(?: ?ke ?fu)?\b", r"\bzhen ?ren\b"]));

/// Demands for a superior, formal complaints, threats with the law.
static CONSEQUENCES: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:talk|speak|chat) (?:to|with) (?:the |your |a |an |ur )?(?:\w+ )?(?:manager|boss|director|ceo|superior|supervisor)\b",
        r"\b(?:give|get|bring|call) me (?:the |your |a |ur )(?:store |shop )?(?:manager|boss|director)\b",
        r"\b(?:want|demand|need) (?:the |your |a )(?:store |shop )?(?:manager|boss)\b",
        r"\b(?:file|make|lodge|submit|raise|register|filing|making|lodging) (?:an? )?(?:\w+ )?complaint\b",
        r"^(?:\w+ )?complaint[!. ]*$",
        r"\bi(?:'ll| will| am going to|'m going to|'m gonna) (?:sue|take you to court|call the police|report you)\b",
        r"\bmy (?:lawyer|attorney|solicitor) (?:will|is going to|has)\b",
        r"(?:要|想|我来|给我|必须)(?:求)?(?:正式|向.{0,8})?(?:投诉|投訴|举报)",
        r"^(?:投诉|投訴)",
        r"(?:找|叫|让|喊|我要|给我|见)(?:一下)?(?:你们?|你们店|贵店)?(?:的)?(?:经理|經理|老板|老闆|领导|主管|店长|负责人)(?:来|出来|跟|和|说|谈|投诉|$|[!。!])",
        r"12315|消费者协会|消協|消协|律师函|(?:要|去|会)起诉你",
    ])
});

/// The words of a wish, so that typing errors in them are mended before it is given up.
const WORDS: [&str; 16] = [
    "human",
    "agent",
    "person",
    "operator",
    "representative",
    "speak",
    "connect",
    "transfer",
    "customer",
    "service",
    "support",
    "somebody",
    "someone",
    "colleague",
    "employee",
    "callback",
];
/// Short words and spellings further off.
const MISSPELT: [(&str, &str); 11] = [
    ("tlak", "talk"),
    ("tlk", "talk"),
    ("takl", "talk"),
    ("wnat", "want"),
    ("watn", "want"),
    ("hooman", "human"),
    ("2", "to"),
    ("too", "to"),
    ("sum1", "someone"),
    ("some1", "someone"),
    ("any1", "anyone"),
];

/// Whether the shopper wishes for a person. `folded` is folded text.
pub(super) fn wants_person(folded: &str, language: Language) -> bool {
    let cleaned = LOOKALIKES.replace_all(folded, " ");
    WISHES.is_match(&cleaned)
        || (language == Language::Zh && PINYIN_WISHES.is_match(&cleaned))
        || mended(&cleaned).is_some_and(|mended| WISHES.is_match(&LOOKALIKES.replace_all(&mended, " ")))
}

/// The text with the words of a wish spelt as they should be; `None` when there is nothing to mend.
fn mended(text: &str) -> Option<String> {
    let mut changed = false;
    let words = text.split(' ').map(|word| {
        let letters = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let known = MISSPELT.iter().find(|(wrong, _)| *wrong == letters).map(|(_, right)| *right);
        let meant = known.or_else(|| WORDS.into_iter().find(|right| is_one_slip_away(letters, right)));
        match meant.filter(|_| !letters.is_empty()) {
            Some(meant) => {
                changed = true;
                word.replacen(letters, meant, 1)
            }
            None => word.to_owned(),
        }
    });
    let mended = words.collect::<Vec<_>>().join(" ");
    changed.then_some(mended)
}

/// One letter added, left out or wrong, or two neighbours swapped.
fn is_one_slip_away(word: &str, right: &str) -> bool {
    if !word.is_ascii() || word == right || word.len().abs_diff(right.len()) > 1 || word.len() < 4 {
        return false;
    }
    let (word, right) = (word.as_bytes(), right.as_bytes());
    let same = word.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (word, right) = (&word[same..], &right[same..]);
    let rest = |text: &'_ [u8], from: usize| text.get(from..).map(<[u8]>::to_vec).unwrap_or_default();
    rest(word, 1) == right
        || rest(right, 1) == word
        || rest(word, 1) == rest(right, 1)
        || (word.len() > 1 && right.len() > 1 && word[0] == right[1] && word[1] == right[0] && word[2..] == right[2..])
}

/// Whether the shopper demands a superior, files a complaint or threatens with the law. `folded` is folded text.
pub(super) fn demands_consequences(folded: &str) -> bool {
    CONSEQUENCES.is_match(folded)
}
