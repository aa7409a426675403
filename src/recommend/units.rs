//! Units of measure and currencies by the words people use for them.

/// A unit of measure: values times `factor` are in the dimension's base unit (g, ml, mm, minutes, GB, ...).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// What is measured; a unit without relatives is its own dimension.
    pub dimension: &'static str,
    /// Base units in one of this unit.
    pub factor: f64,
    /// How the unit is written.
    pub symbol: &'static str,
}

const UNITS: &[(&str, &str, f64, &str)] = &[
    ("g gram grams gramme grammes gr 克", "mass", 1.0, "g"),
    ("kg kilo kilos kilogram kilograms 公斤 千克", "mass", 1000.0, "kg"),
    ("mg 毫克", "mass", 0.001, "mg"),
    ("斤", "mass", 500.0, "斤"),
    ("oz ounce ounces 盎司", "mass", 28.3495, "oz"),
    ("lb lbs", "mass", 453.592, "lb"),
    ("ml millilitre millilitres milliliter milliliters 毫升", "volume", 1.0, "ml"),
    ("cl centilitre centilitres", "volume", 10.0, "cl"),
    ("l litre litres liter liters 升", "volume", 1000.0, "l"),
    ("mm millimetre millimetres millimeter millimeters 毫米", "length", 1.0, "mm"),
    ("cm centimetre centimetres centimeter centimeters 厘米 公分", "length", 10.0, "cm"),
    ("m metre metres meter meters 米", "length", 1000.0, "m"),
    ("in inch inches \" ″ 寸 英寸 吋", "length", 25.4, "inch"),
    ("ft foot feet 英尺", "length", 304.8, "ft"),
    ("km kilometre kilometres kilometer kilometers 公里", "distance", 1.0, "km"),
    ("min mins minute minutes 分钟", "time", 1.0, "min"),
    ("h hr hrs hour hours 小时 个小时 钟头 个钟头", "time", 60.0, "h"),
    ("gb gigabyte gigabytes gig", "data", 1.0, "GB"),
    ("tb terabyte terabytes", "data", 1000.0, "TB"),
    ("mb megabyte megabytes", "data", 0.001, "MB"),
    ("mah 毫安 毫安时", "charge", 1.0, "mAh"),
    ("wh", "energy", 1.0, "Wh"),
    ("w watt watts 瓦", "power", 1.0, "W"),
    ("kw", "power", 1000.0, "kW"),
    ("v volt volts 伏", "voltage", 1.0, "V"),
    ("mp megapixel megapixels", "pixels", 1.0, "megapixels"),
    ("hz hertz 赫兹", "frequency", 1.0, "Hz"),
    ("lm lumen lumens 流明", "light", 1.0, "lm"),
    ("kmh kph", "speed", 1.0, "km/h"),
    ("pcs", "count", 1.0, "pieces"),
    ("c °c celsius 度", "temperature", 1.0, "°C"),
];

pub const CURRENCIES: &[(&str, &str)] = &[
    ("€", "EUR"),
    ("euros", "EUR"),
    ("euro", "EUR"),
    ("eur", "EUR"),
    ("欧元", "EUR"),
    ("欧", "EUR"),
    ("$", "USD"),
    ("dollars", "USD"),
    ("dollar", "USD"),
    ("usd", "USD"),
    ("bucks", "USD"),
    ("美元", "USD"),
    ("美金", "USD"),
    ("刀", "USD"),
    ("£", "GBP"),
    ("pounds", "GBP"),
    ("pound", "GBP"),
    ("gbp", "GBP"),
    ("quid", "GBP"),
    ("英镑", "GBP"),
    ("镑", "GBP"),
    ("rmb", "CNY"),
    ("cny", "CNY"),
    ("yuan", "CNY"),
    ("人民币", "CNY"),
    ("日元", "JPY"),
    ("yen", "JPY"),
    ("jpy", "JPY"),
    ("₹", "INR"),
    ("inr", "INR"),
    ("rupees", "INR"),
    ("chf", "CHF"),
    ("francs", "CHF"),
    ("sek", "SEK"),
    // The sign of yen and yuan, and the everyday word for money of any kind.
    ("¥", ""),
    ("￥", ""),
    ("元", ""),
    ("块钱", ""),
    ("块", ""),
];

/// The unit that a word names.
pub fn unit(word: &str) -> Option<Unit> {
    let word = word.to_lowercase();
    UNITS
        .iter()
        .find(|(names, ..)| names.split(' ').any(|name| name == word))
        .map(|&(_, dimension, factor, symbol)| Unit { dimension, factor, symbol })
}
