//! The sheet as a page that needs no other file.

use askama::Template;

use super::Sheet;
use crate::report::format::plural;

#[derive(Template)]
#[template(path = "rating.html")]
struct Page<'a> {
    sweep: &'a str,
    pictures: String,
    captions: String,
    style: &'static str,
    data: String,
    script: &'static str,
}

/// The page as HTML.
pub fn render(sheet: &Sheet) -> anyhow::Result<String> {
    let page = Page {
        sweep: &sheet.sweep,
        pictures: plural(sheet.pictures.len(), "picture"),
        captions: plural(sheet.systems.len(), "caption"),
        style: concat!(
            include_str!("../../../assets/report/style.css"),
            include_str!("../../../assets/report/rating.css")
        ),
        data: inert(&serde_json::to_string(sheet)?),
        script: include_str!("../../../assets/report/rating.js"),
    };
    Ok(page.render()?)
}

/// JSON that cannot end the script element it stands in: `<` occurs in strings alone, where it may be written so.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rating::sheet::tests::system;

    #[test]
    fn captions_and_names_cannot_break_out_of_the_page() {
        let evil = "</script><script>alert(1)</script><!--";
        let systems = [system("a", &[(evil, evil)]), system(evil, &[(evil, "x")])];
        let sheet = Sheet::draw(evil, &systems, 5, |_| Ok("data:image/jpeg;base64,".to_owned())).unwrap();
        let page = render(&sheet).unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("<!--"), "{page}");
        assert_eq!(page.matches("<script").count(), 2);
        let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["sweep"], &data["systems"][1]), (&evil.into(), &evil.into()));
    }

    #[test]
    fn the_page_asks_nothing_of_the_network_and_names_no_model() {
        let systems = [system("r0123456789", &[("1.png", "x")]), system("zero", &[("1.png", "y")])];
        let sheet = Sheet::draw("s", &systems, 5, |_| Ok("data:image/jpeg;base64,".to_owned())).unwrap();
        let page = render(&sheet).unwrap();
        for foreign in
            ["http:", "https:", "<link", "@import", "url(", "srcset", "fetch(", "XMLHttp", "innerHTML"]
        {
            assert!(!page.contains(foreign), "the page contains {foreign}");
        }
        let data = page.find("id=\"data\"").unwrap();
        assert!(!page[..data].contains("r0123456789") && !page[..data].contains("1.png"));
    }
}
