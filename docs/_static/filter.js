// On the page of results: the tables of one lesson, or of all.
const bar = document.querySelector('.lesson-filter');
const buttons = [...bar.querySelectorAll('button')];
const lessonOf = section => (section.querySelector('h2 a[href*="notebooks/"]')?.href.match(/notebooks\/(\d\d)_/) || [])[1];
const sections = [...document.querySelectorAll('section')].filter(section => section.querySelector(':scope > h2') && lessonOf(section));

function show(lesson) {
  for (const button of buttons) button.setAttribute('aria-pressed', button.dataset.lesson === lesson);
  for (const section of sections) section.hidden = lesson !== '' && lessonOf(section) !== lesson;
}

for (const button of buttons)
  button.addEventListener('click', () => {
    show(button.dataset.lesson);
    const address = new URL(location.href);
    if (button.dataset.lesson) address.searchParams.set('lesson', button.dataset.lesson);
    else address.searchParams.delete('lesson');
    address.hash = '';
    history.replaceState(null, '', address);
  });

bar.hidden = false;
const asked = new URLSearchParams(location.search).get('lesson') || '';
show(buttons.some(button => button.dataset.lesson === asked) ? asked : '');
